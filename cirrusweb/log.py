"""JSON logs, one object a line, with the organisation and serial in hand and never a secret."""

import json
import logging
import re
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

REDACTED = "[redacted]"

# The shapes a secret can have in a line that somebody else's library wrote. `keep` is what may stay.
_SECRETS = re.compile(
    r"mycirrus-[0-9]{1,12}-[0-9A-Za-z]{8,}"
    # What the key ring made: useless without its keys, and of no use to a reader either.
    r"|gAAAAA[0-9A-Za-z_-]{40,}=*"
    # A password in an address: redis://:pw@host, postgres://user:pw@host.
    r"|(?P<keep>://[^\s:/@\"']*:)[^\s/\"']+(?=@)"
    # Addresses that are passwords themselves: Slack's, Discord's, and the signature of a Teams workflow.
    r"|(?P<keep5>hooks\.slack\.com/services/|/api/webhooks/[0-9]+/|(?<=[?&])sig=)[0-9A-Za-z%/_.-]{12,}"
    # What a signed webhook signs with.
    r"|(?P<keep6>whsec_)[0-9A-Za-z+/=]{20,}"
    # The unguessable parts of our own addresses: webhook inbox, invitation, new address or password, links in mails,
    # calendar; plain, or quoted within another address.
    r"|(?P<keep2>(?:/|%2F)(?:hooks|invitations?|confirm-email|reset(?:/|%2F)key|alerts(?:(?:/|%2F)unsubscribe)?|calendar)"
    r"(?:/|%2F))[0-9A-Za-z_:%-]{12,}"
    # Headers whose whole line is secret, whatever their value is made of.
    r"|(?P<keep3>(?i:\bcookie|authorization)(?:\\?[\"'])?\s*[:=,]\s*b?(?:\\?[\"'])?)[^\r\n\"'\\]+"
    # Any header, field or parameter named like a secret, in whatever quotes a dump puts around both.
    r"|(?P<keep4>(?i:api[-_]?key|secret|passw(?:or)?d|token|sessionid)"
    r"(?:\\?[\"'])?\s*[:=,]\s*b?(?:\\?[\"'])?)[^\s\"'\\&,;)}\]]+",
)
# The same for names of fields. Ends only: `api_key_id` and `missing_scopes` are no secrets.
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:api_?key|authorization|cookie|secrets?|passw(?:or)?d|token|ciphertext|sessionid)$"
)
# What is nested deeper is somebody's whole document, which has no place in a log.
_DEPTH = 6


def _keep(match: re.Match[str]) -> str:
    return (match[match.lastgroup] if match.lastgroup else "") + REDACTED


def redact(text: str) -> str:
    """``text`` with everything that has the shape of a secret replaced."""
    return _SECRETS.sub(_keep, text)


def _clean(value: Any, depth: int = _DEPTH) -> Any:
    if isinstance(value, str):
        return redact(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if not depth:
        return "…"
    if isinstance(value, Mapping):
        return {_text(name): _field(_text(name), item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth - 1) for item in value]
    return _text(value)


def _field(name: str, value: Any, depth: int = _DEPTH) -> Any:
    # Numbers and nothing stay: `api_key=7` is an id, and "there was no token" is worth knowing.
    if (
        not isinstance(value, bool | int | float | None)
        and value != ""
        and _SECRET_NAME.search(name.lower().replace("-", "_"))
    ):
        return REDACTED
    return _clean(value, depth)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return redact(value)
    try:
        return redact(repr(value))
    except Exception as error:
        # A line is worth more than the one object in it that cannot describe itself.
        return f"<{type(value).__name__} without a repr: {type(error).__name__}>"


def _redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {_text(name): _field(_text(name), value) for name, value in event.items()}


class RedactedLines(logging.Formatter):
    """For whoever writes lines of its own, such as the web server: what ``formatter`` makes, without secrets."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self._formatter = formatter

    def format(self, record: logging.LogRecord) -> str:
        return redact(self._formatter.format(record))


def logging_config(level: str) -> dict[str, Any]:
    """Django's LOGGING: structlog's processors also format what the standard library's loggers write."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.StackInfoRenderer(),
                    structlog.processors.format_exc_info,
                    # After the traceback became text, so that a key inside it is caught as well.
                    _redact_event,
                    structlog.processors.JSONRenderer(serializer=json.dumps, ensure_ascii=False),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": level},
            "django.server": {"handlers": ["stderr"], "level": level, "propagate": False},
            "celery": {"level": level},
            # At DEBUG it writes the path of every request, and that of a chat's webhook is its password.
            "urllib3": {"level": logging.INFO},
            # One line a task is noise at five-second ticks; what a task did, its own code logs.
            "celery.app.trace": {"level": logging.WARNING},
            "celery.worker.strategy": {"level": logging.WARNING},
            "celery.beat": {"level": logging.WARNING},
        },
    }
