from broker.store.sql import Queries
from tests.model.test_machine import *
def test_x(monkeypatch):
    q=Queries.from_package()
    monkeypatch.setitem(q,"turns.lease",q["turns.lease"].replace("attempt = attempt + 1","attempt = max(attempt,1)"))
    class InMemory(PostOfficeMachine): pass
    run(InMemory, 20000)
