"""The program that gives agents their turns: waits for mail, wakes the agent, settles what became of it.

It opens no database and speaks no MQTT; the broker decides what is leased, the harness decides what runs.
"""
