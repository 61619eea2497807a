"""Writing TOML for people: only what our own files need. Pure."""


def toml_string(text: str) -> str:
    """Write a string as TOML has it: literal where that reads better."""
    if "'" not in text and ('"' in text or "\\" in text) and text.isprintable():
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped) + '"'
