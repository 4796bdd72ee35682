"""Strict, typed YAML: one file per daemon becomes one frozen ``msgspec.Struct``, or one clean line about what is wrong.

The YAML path of a setting is the Thanos flag with dots as nesting and dashes as underscores. Unknown keys, duplicate
keys and wrong types are errors; the only conversions are the unit types of ``pythanos.units``. ``$(VAR)`` in a value is
replaced from the environment. Defaults stand in the structs and nowhere else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

import msgspec
import yaml

from pythanos.errors import ConfigError
from pythanos.units import ByteSize, Duration, Secret, parse_bytes, parse_duration

T = TypeVar("T")

OVERRIDE_SOURCE = "--set"
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_MSGSPEC_PATH = re.compile(r"^(?P<text>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MSGSPEC_CHOICE = re.compile(r"Invalid enum value (.*)", re.DOTALL)
# As many valid values as a line names even where one of them is near.
_FEW = 5
_PATH_STEP = re.compile(r"\.[^.\[]+|\[[^\]]*\]")
_KIND = {"str": "a string", "int": "an integer", "float": "a number", "bool": "true or false", "null": "nothing"}
_KIND |= {"object": "a mapping", "array": "a list"}
_SECRET_NAME = re.compile(
    r"secret|password|passphrase|token|private_?key|_account_key|connection_string|^service_account$|encryption_key"
)
_BYTE_UNITS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every part of a configuration."""


class Composed(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration made of sections that libraries own: the keys of each section all stand on the top level.

    A key that two sections have would go to the first, so there must be none.
    """


class FileOrContent(msgspec.Struct, Generic[T], frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pair of Thanos flags: ``config_file`` names a YAML file, ``config`` holds its content; at most one of them.

    As for every pair of keys ``name`` and ``name_file`` of a section, ``load`` reads the file, so that afterwards
    ``config`` is the content, or None where neither was given.
    """

    config_file: str = ""
    config: T | None = None


def load(
    path: str,
    schema: type[T],
    *,
    environment: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> T:
    """The configuration in the file at ``path``, with ``key.path=value`` overrides applied.

    Raises ConfigError.
    """
    tree = _read_yaml(_read_text(path), path, environment)
    return decode_tree(tree, schema, path, environment=environment, overrides=overrides)


def loads(text: str, schema: type[T], *, path: str = "<text>", environment: Mapping[str, str] | None = None) -> T:
    """The configuration in a YAML text; ``path`` is what errors call it. Raises ConfigError."""
    variables = environment or {}
    return decode_tree(_read_yaml(text, path, variables), schema, path, environment=variables)


def decode_tree(
    tree: Any, schema: type[T], path: str, *, environment: Mapping[str, str], overrides: Sequence[str] = ()
) -> T:
    """A tree of plain YAML values as ``schema``. Raises ConfigError."""
    tree = {} if tree is None else tree
    overridden = [_override(tree, text, environment) for text in overrides]
    if isinstance(schema, type) and issubclass(schema, Composed) and isinstance(tree, dict):
        return _compose(tree, schema, path, environment, overridden)
    return _decode_section(tree, schema, path, environment, overridden)


def _compose(
    tree: dict[str, Any], schema: Any, path: str, environment: Mapping[str, str], overridden: list[str]
) -> Any:
    sections = {field.name: field.type for field in msgspec.structs.fields(schema)}
    owners: dict[str, str] = {}
    for name, section in sections.items():
        for field in msgspec.structs.fields(section):
            owners.setdefault(field.encode_name, name)
    parts: dict[str, dict[str, Any]] = {name: {} for name in sections}
    for key, value in tree.items():
        if key not in owners:
            raise ConfigError(_source(path, overridden, str(key)), str(key), _unknown_hint(str(key), list(owners)))
        parts[owners[key]][key] = value
    decoded = {
        name: _decode_section(parts[name], section, path, environment, overridden) for name, section in sections.items()
    }
    return schema(**decoded)


def _source(path: str, overridden: list[str], key: str) -> str:
    """Who gave the value of ``key``: an override, or the file."""
    given = any(key == one or key.startswith((f"{one}.", f"{one}[")) or one.startswith(f"{key}.") for one in overridden)
    return OVERRIDE_SOURCE if given else path


def _decode_section(tree: Any, schema: Any, path: str, environment: Mapping[str, str], overridden: list[str]) -> Any:
    for key, valid, name in _unknown_keys(tree, schema, ""):
        raise ConfigError(_source(path, overridden, key), key, _unknown_hint(name, valid))
    try:
        config = msgspec.convert(tree, schema, strict=True, dec_hook=_decode_unit)
    except msgspec.ValidationError as error:
        key, hint = _explain(str(error), schema)
        raise ConfigError(_source(path, overridden, key), key, hint) from error
    return _with_files(config, schema, path, "", environment)


def dump(config: object) -> str:
    """The configuration as YAML, every key with its value, secrets hidden."""
    return yaml.safe_dump(to_tree(config), sort_keys=False, default_flow_style=False, allow_unicode=True)


def to_tree(config: object) -> Any:
    """The configuration as plain values that ``decode_tree`` takes back, except for hidden secrets."""
    if isinstance(config, Composed):
        sections = [getattr(config, field.name) for field in msgspec.structs.fields(config)]
        return {key: value for section in sections for key, value in to_tree(section).items()}
    if isinstance(config, msgspec.Struct):
        return {field.encode_name: to_tree(getattr(config, field.name)) for field in msgspec.structs.fields(config)}
    if isinstance(config, Mapping):
        return {key: _hidden(str(key), to_tree(value)) for key, value in config.items()}
    if isinstance(config, list | tuple | set | frozenset):
        return [to_tree(value) for value in config]
    if isinstance(config, Secret):
        return "<secret>" if config else ""
    if isinstance(config, Duration):
        return str(config)
    if isinstance(config, ByteSize):
        return _format_bytes(config)
    return config


def _hidden(name: str, value: Any) -> Any:
    """Keys that no struct describes (a provider's own section) are hidden by their names."""
    return "<secret>" if value and isinstance(value, str) and _SECRET_NAME.search(name) else value


def flatten(config: object) -> dict[str, str]:
    """Dotted path -> value as text, as ``/api/v1/status/flags`` shows them; secrets hidden."""
    return dict(_flatten(to_tree(config), ""))


def _flatten(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _flatten(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, bool):
        yield path, str(tree).lower()
    elif isinstance(tree, list):
        yield path, ",".join(str(value) for value in tree)
    else:
        yield path, "" if tree is None or tree == {} else str(tree)


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path, "", f"read the file: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, "", f"not UTF-8 text at byte {error.start}") from error


class _Loader(yaml.SafeLoader):
    """YAML without the timestamp type (a time is a string here), and without duplicate keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the name and form that PyYAML wants
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read_yaml(text: str, path: str, environment: Mapping[str, str]) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}
        _check_nodes(loader, node, path, environment, set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(path, "", f"not valid YAML{where}: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(path, "", f"not valid YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()


def _check_nodes(
    loader: _Loader, node: yaml.Node, path: str, environment: Mapping[str, str], seen: set[int], key: str = ""
) -> None:
    """Replaces variables in the scalars below ``node`` and refuses a key that stands twice in one mapping."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        text = _substitute(node.value, path, key, environment)
        if text != node.value:
            node.value = text
            node.tag = loader.resolve(yaml.ScalarNode, text, (node.style is None, node.style is not None))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check_nodes(loader, item, path, environment, seen, f"{key}[{index}]")
    elif isinstance(node, yaml.MappingNode):
        names: set[str] = set()
        for name, value in node.value:
            below = f"{key}.{name.value}" if key else str(name.value)
            if isinstance(name, yaml.ScalarNode) and name.value in names:
                raise ConfigError(path, below, f"given twice, again in line {name.start_mark.line + 1}")
            names.add(name.value if isinstance(name, yaml.ScalarNode) else "")
            _check_nodes(loader, value, path, environment, seen, below)


def _substitute(text: str, path: str, key: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise ConfigError(path, key, f"environment variable {found[1]} is not set")
        return environment[found[1]]

    return _VARIABLE.sub(value, text)


def _override(tree: Any, text: str, environment: Mapping[str, str]) -> str:
    """Puts one ``key.path=value`` into the tree; the value is YAML. Returns the dotted path."""
    key, equals, value = text.partition("=")
    key = key.strip()
    names = key.split(".")
    if not equals or not all(names):
        raise ConfigError(OVERRIDE_SOURCE, text, "expected key.path=value")
    for depth, name in enumerate(names[:-1]):
        if not isinstance(tree, dict):
            raise ConfigError(
                OVERRIDE_SOURCE, key, f"{'.'.join(names[:depth]) or 'the configuration'} is not a mapping"
            )
        if tree.get(name) is None:
            tree[name] = {}
        tree = tree[name]
    if not isinstance(tree, dict):
        raise ConfigError(OVERRIDE_SOURCE, key, f"{'.'.join(names[:-1]) or 'the configuration'} is not a mapping")
    tree[names[-1]] = _read_yaml(value, OVERRIDE_SOURCE, environment) if value.strip() else ""
    return key


def _unknown_keys(tree: Any, schema: Any, path: str) -> Iterator[tuple[str, list[str], str]]:
    """(dotted path, valid keys beside it, key) of each key that no struct below ``schema`` has."""
    for kind in _alternatives(schema):
        origin = getattr(kind, "__origin__", kind)
        if isinstance(origin, type) and issubclass(origin, msgspec.Struct) and isinstance(tree, dict):
            fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
            for key, value in tree.items():
                below = f"{path}.{key}" if path else str(key)
                if key not in fields:
                    yield below, list(fields), str(key)
                else:
                    yield from _unknown_keys(value, fields[key].type, below)
        elif origin in (list, tuple, set, frozenset) and isinstance(tree, list):
            for index, item in enumerate(tree):
                yield from _unknown_keys(item, get_args(kind)[0] if get_args(kind) else Any, f"{path}[{index}]")
        elif origin is dict and isinstance(tree, dict) and len(get_args(kind)) == 2:
            for key, value in tree.items():
                yield from _unknown_keys(value, get_args(kind)[1], f"{path}.{key}" if path else str(key))


def _alternatives(schema: Any) -> tuple[Any, ...]:
    """The members of a union or an Annotated type, the words of a Literal; the type itself otherwise."""
    if hasattr(schema, "__metadata__"):
        return _alternatives(schema.__origin__)
    origin = getattr(schema, "__origin__", None)
    if origin is not None and isinstance(origin, type) and origin not in (list, tuple, dict, set, frozenset):
        return (schema,)
    if get_args(schema) and origin not in (list, tuple, dict, set, frozenset):
        return tuple(one for member in get_args(schema) for one in _alternatives(member))
    return (schema,)


def _unknown_hint(name: str, valid: list[str]) -> str:
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if near:
        return f"unknown key; did you mean {near[0]}?"
    return f"unknown key; valid keys are {', '.join(sorted(valid))}" if valid else "unknown key; none is valid here"


def _decode_unit(kind: type, value: Any) -> Any:
    if kind is Duration:
        if isinstance(value, str):
            duration = parse_duration(value)
            if duration < 0:
                raise ValueError(f"expected a duration of 0 or more, got {value}")
            return duration
        if value == 0 and not isinstance(value, bool):
            return Duration(0)
        raise ValueError(f"expected a duration such as 5m, got {_name_of(value)}")
    if kind is ByteSize:
        if isinstance(value, str):
            return parse_bytes(value)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return ByteSize(value)
        raise ValueError(f"expected a size such as 250MB, got {_name_of(value)}")
    if kind is Secret:
        if isinstance(value, str):
            return Secret(value)
        raise ValueError(f"expected a string, got {type(value).__name__}")
    if kind is object:
        return value
    raise NotImplementedError(f"no decoder for {kind}")


def _name_of(value: Any) -> str:
    return f"{type(value).__name__} {value!r}" if isinstance(value, int | float | bool) else type(value).__name__


def _explain(message: str, schema: Any) -> tuple[str, str]:
    """(dotted path, hint) of a msgspec error in a value of ``schema``."""
    found = _MSGSPEC_PATH.fullmatch(message)
    text, key = (found["text"], found["path"] or "") if found else (message, "")
    wrong = _MSGSPEC_CHOICE.fullmatch(text)
    if wrong:
        return key.lstrip("."), _choice_hint(wrong[1], _choices(schema, _PATH_STEP.findall(key)))
    text = re.sub(r"`([a-z]+(?: \| [a-z]+)*)`", lambda kinds: _kinds(kinds[1]), text)
    text = re.sub(r"^Object missing required field (\S+)$", r"required key \1 is missing", text.replace("`", ""))
    return key.lstrip("."), text[:1].lower() + text[1:]


def _choices(schema: Any, steps: Sequence[str]) -> list[str]:
    """The words that may stand at a path below ``schema``; its steps are ``.name``, ``[3]`` or ``[...]``."""
    found: list[str] = []
    for kind in _alternatives(schema):
        if not steps:
            found += [kind] if isinstance(kind, str) else []
        elif steps[0].startswith("["):
            members = [member for member in get_args(kind) if member is not ...]
            found += _choices(members[-1], steps[1:]) if members else []
        elif _is_struct(kind):
            named = [field for field in msgspec.structs.fields(kind) if field.encode_name == steps[0][1:]]
            found += [word for field in named for word in _choices(field.type, steps[1:])]
    return found


def _choice_hint(given: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(given.strip("'"), valid, n=1, cutoff=0.6)
    if near and len(valid) > _FEW:
        return f"invalid value {given}; did you mean {near[0]}?"
    return f"invalid value {given}; valid values are {', '.join(word or repr(word) for word in valid)}"


def _kinds(names: str) -> str:
    return " or ".join(_KIND.get(name, f"`{name}`") for name in names.split(" | "))


def _with_files(config: Any, schema: Any, path: str, key: str, environment: Mapping[str, str]) -> Any:
    """``config`` with the files read that the pairs ``name``, ``name_file`` of its sections name."""
    kind = next((one for one in _alternatives(schema) if _is_struct(one)), None)
    if kind is None or not isinstance(config, msgspec.Struct):
        return config
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    changed = {}
    for name, field in fields.items():
        below = f"{key}.{field.encode_name}" if key else field.encode_name
        value = getattr(config, name)
        if f"{name}_file" in fields:
            resolved = _read_pair(value, getattr(config, f"{name}_file"), field, path, below, environment)
        else:
            resolved = _with_files(value, field.type, path, below, environment)
        if resolved is not value:
            changed[name] = resolved
    return msgspec.structs.replace(config, **changed) if changed else config


def _is_struct(kind: Any) -> bool:
    return hasattr(getattr(kind, "__origin__", kind), "__struct_fields__")


def _read_pair(value: Any, file: str, field: Any, path: str, key: str, environment: Mapping[str, str]) -> Any:
    """The content of a pair: what is given, or what the file holds."""
    if not file:
        return value
    if value is not None:
        raise ConfigError(path, key.rpartition(".")[0], f"{field.name}_file and {field.name} exclude each other")
    content = next(one for one in _alternatives(field.type) if one is not type(None))
    return decode_tree(_read_yaml(_read_text(file), file, environment), content, file, environment=environment)


def _format_bytes(size: int) -> str | int:
    for unit, name in _BYTE_UNITS:
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return int(size)
