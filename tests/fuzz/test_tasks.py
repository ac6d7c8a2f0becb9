"""Tasks files and JSON targets at random: a file is refused in one line or read, and then no target ends a run."""

import json
import re
from collections import Counter

from tests.fuzz.damage import damaged
from tests.fuzz.test_rows import any_value
from transforms import tasks
from transforms.errors import ClipRejected, UserError

JARGON = re.compile(r"0x[0-9a-f]{6}|Traceback|object at")
REFERENCES = ["#", "#/$defs/a", "#/$defs/b", "#/$defs/c", "#a", "#/allOf/0", "#/items", "#/%", "", "x", "#/$defs/a/not"]
TYPES = ["null", "boolean", "integer", "number", "string", "array", "object", "nothing"]
PATTERNS = ["^a", "b$", "(", "[a-c]", r"\d", r"\p{L}", "\x00", "é"]


def schema(rng, depth=3):
    """A JSON schema, or what looks like one."""
    if depth == 0 or rng.random() < 0.1:
        return rng.choice([True, False, {}, {"type": rng.choice(TYPES)}, {"$ref": rng.choice(REFERENCES)}, 7, None, []])
    made = {}
    for _ in range(rng.randrange(1, 4)):
        keyword = rng.choice(list(KEYWORDS))
        made[keyword] = KEYWORDS[keyword](rng, depth - 1)
    return made


def several(rng, depth):
    return [schema(rng, depth) for _ in range(rng.randrange(1, 3))]


def named(rng, depth):
    return {rng.choice(["a", "b", "$ref", *PATTERNS]): schema(rng, depth) for _ in range(rng.randrange(1, 3))}


def number(rng, _):
    return rng.choice([0, 1, -1, 0.1, 2**63, 10**30, 1e308, float("nan"), float("inf"), "1", None])


KEYWORDS = {
    **dict.fromkeys(["allOf", "anyOf", "oneOf", "prefixItems"], several),
    **dict.fromkeys(["properties", "patternProperties", "dependentSchemas"], named),
    **dict.fromkeys(
        ["items", "not", "if", "then", "else", "contains", "propertyNames", "additionalProperties"], schema
    ),
    **dict.fromkeys(["minimum", "maximum", "multipleOf", "minLength", "maxItems", "minProperties"], number),
    "$defs": lambda rng, depth: {name: schema(rng, depth) for name in "abc"},
    "$ref": lambda rng, depth: rng.choice(REFERENCES),
    "$dynamicRef": lambda rng, depth: rng.choice(REFERENCES),
    "$anchor": lambda rng, depth: rng.choice(["a", "b", "", "1"]),
    "$dynamicAnchor": lambda rng, depth: rng.choice(["a", "b"]),
    "$id": lambda rng, depth: rng.choice(["https://example.com/s", "s", "#a", "", "http://[", "urn:x:y", 7]),
    "$schema": lambda rng, depth: rng.choice(["https://json-schema.org/draft/2020-12/schema", "http://x", 7]),
    "type": lambda rng, depth: rng.choice([*TYPES, TYPES[:3], [], 7]),
    "pattern": lambda rng, depth: rng.choice(PATTERNS),
    "format": lambda rng, depth: rng.choice(["date", "regex", "nothing", 7]),
    "enum": lambda rng, depth: [any_value(rng) for _ in range(3)],
    "const": lambda rng, depth: any_value(rng),
    "required": lambda rng, depth: rng.choice([["a"], ["a", "a"], [1], "a"]),
    "uniqueItems": lambda rng, depth: rng.choice([True, False, 1]),
}


def tasks_file(rng):
    tree = {}
    for name in rng.sample(["a", "b", "", "é", "\ud800", "1"], rng.randrange(1, 3)):
        task = {"prompt": rng.choice([f"Say {name}.", any_value(rng)])}
        if rng.random() < 0.7:
            task["schema"] = schema(rng)
        if rng.random() < 0.3:
            task["labels"] = rng.choice([["a", "b"], [any_value(rng), "b"], any_value(rng)])
        if rng.random() < 0.2:
            task[rng.choice(["target", "system_instruction", "zzz"])] = rng.choice(["json", "text", any_value(rng)])
        tree[name] = task
    return json.dumps(tree).encode()


def test_no_tasks_file_and_no_target_ends_a_run(mutants):
    fates: Counter[str] = Counter()
    for told, rng in mutants("tasks"):
        content = tasks_file(rng)
        if rng.random() < 0.2:
            content, _ = damaged(content, rng, tasks_file(rng))
        try:
            loaded = tasks.load(content, "t.yaml")
        except UserError as fault:
            assert str(fault).startswith("t.yaml"), (told, str(fault))
            assert "\n" not in str(fault), (told, str(fault))
            assert not JARGON.search(str(fault)), (told, str(fault))
            fates["file refused"] += 1
            continue
        except Exception as fault:
            raise AssertionError(f"{told}: {type(fault).__name__}: {str(fault)[:200]} of {content[:500]!r}") from fault
        for task in loaded:
            for _ in range(3):
                value = any_value(rng)
                try:
                    text = tasks.target_text(task, value)
                    tasks.check_target(task, text if isinstance(text, str) else json.dumps(value))
                    fates["target accepted"] += 1
                except ClipRejected as refusal:
                    assert "\n" not in refusal.detail.replace("\\n", ""), (told, refusal.detail)
                    assert not JARGON.search(refusal.detail), (told, refusal.detail)
                    fates["target refused"] += 1
                except Exception as fault:
                    words = f"{told}: {type(fault).__name__}: {str(fault)[:200]} of {task.schema} and {value!r:.200}"
                    raise AssertionError(words) from fault
    print(dict(fates))
