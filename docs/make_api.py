"""Writes docs/api.md from the description that a scheduler serves:

    curl -s localhost:3000/openapi.json | python3 docs/make_api.py > docs/api.md
"""
import json
import sys

HEAD = """# API reference

Made from the schema in [proto/clusterd/v1](../proto/clusterd/v1) by [make_api.py](make_api.py); a test
compares it. [http-api.md](http-api.md) explains output, events, errors and repetition;
`/openapi.json` is the same for programs (OpenAPI 3.1).
"""


def one_line(text):
    return " ".join(text.split()).replace("|", "\\|")


def type_of(schema):
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower().replace('.', '')})"
    if schema.get("format") == "date-time":
        return "time"
    if "pattern" in schema and schema["pattern"].endswith("s$"):
        return "duration"
    if schema.get("contentEncoding"):
        return "bytes"
    if "enum" in schema:
        return "word"
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map to {type_of(schema['additionalProperties'])}"
    if schema.get("format") in ("int64", "uint64"):
        return f"{schema['format']}, a string"
    return {"integer": "integer", "number": "number", "boolean": "boolean"}.get(schema.get("type"), "string")


def words_of(schema):
    """The words of an enumeration, with their meanings, as the description has them."""
    return [line for line in schema.get("description", "").split("\n") if line.startswith("- `")]


def fields(schema):
    yield "| field | type | meaning |\n| --- | --- | --- |"
    for name, field in schema.get("properties", {}).items():
        meaning = field.get("description", "")
        words = words_of(field) or words_of(field.get("items", {}))
        if words:
            meaning = meaning.split("\n")[0] + "<br>" + "<br>".join(
                word.removeprefix("- ") for word in words if "UNSPECIFIED" not in word)
        yield f"| `{name}` | {type_of(field)} | {one_line(meaning)} |"


def operation(verb, path, call):
    yield f"### {call['operationId']}\n\n`{verb.upper()} {path}`\n\n{call.get('description') or call['summary'] + '.'}"
    parameters = [one for one in call.get("parameters", []) if one["in"] != "path"]
    if parameters:
        yield "\n| parameter | in | type | meaning |\n| --- | --- | --- | --- |"
        for one in parameters:
            yield f"| `{one['name']}` | {one['in']} | {type_of(one['schema'])} | {one_line(one['description'])} |"
    body = call.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        schema = body["schema"]
        if "$ref" in schema:
            yield f"\nBody: {type_of(schema)}."
        elif schema.get("properties"):
            yield "\nBody:\n"
            yield from fields(schema)
    for status, answer in call["responses"].items():
        if not status.startswith("2"):
            continue
        content = answer.get("content", {})
        types = [f"{type_of(value['schema'])}" if "$ref" in value.get("schema", {}) else f"`{name}`"
                 for name, value in content.items()]
        yield f"\nAnswer: {status}, {' or '.join(types)}."


def manual(document):
    yield HEAD
    yield "## Calls\n"
    for path, item in document["paths"].items():
        for verb, call in item.items():
            if call["operationId"].endswith("OnWorker"):
                continue  # the same below a worker's path
            yield from operation(verb, path, call)
            yield ""
    yield ("The calls about jobs exist below `/v1/workers/{worker_id}/jobs` too; there another worker's job is "
           "NOT_FOUND.\n")
    yield "## Messages\n"
    for name, schema in document["components"]["schemas"].items():
        yield f"### {name}\n\n{schema.get('description', '')}\n"
        if schema.get("properties"):
            yield from fields(schema)
        for example in schema.get("examples", []):
            yield f"\n```json\n{json.dumps(example, ensure_ascii=False)}\n```"
        yield ""


def text_of(document):
    return "\n".join(manual(document)).rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(text_of(json.load(sys.stdin)))
