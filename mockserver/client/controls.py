"""Controls of a sandbox: clock, progression, stubs, faults, scenarios, accounts."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Never

from mockserver.client.transport import AdminCaller, CheckedAttributes, JsonObject
from mockserver.settings.parse import read_clock, read_progression

_AMOUNTS = {"time": "seconds", "polls": "polls"}
_UNITS = "seconds, minutes, hours, days and weeks"


def progression_body(text: str) -> JsonObject:
    """The admin API's value of `immediate`, `time:SECONDS`, `polls:COUNT`; raises SettingsError."""
    kind, amount = read_progression(text)
    return {"progression": kind} | ({_AMOUNTS[kind]: amount} if kind in _AMOUNTS else {})


def clock_body(text: str) -> JsonObject:
    """The admin API's value of `flowing`, `frozen`, an ISO 8601 instant, `frozen@INSTANT`; raises SettingsError."""
    is_frozen, instant = read_clock(text)
    return {"frozen": is_frozen} | ({} if instant is None else {"now": instant})


def sandbox_body(*, name: str | None, clock: str | None, progression: str | None, ids_of: str | None) -> JsonObject:
    """A sandbox's initial state for the admin API; the server chooses what is None or empty."""
    said: JsonObject = {"name": name, "ids_of": ids_of}
    said["clock"] = clock_body(clock) if clock else None
    said["progression"] = progression_body(progression) if progression else None
    return {key: value for key, value in said.items() if value}


class Clock(CheckedAttributes):
    """Sandbox time. Every change returns the new time."""

    __slots__ = ("_sandbox",)
    _noun = "clock"

    def __init__(self, sandbox: AdminCaller) -> None:
        self._sandbox = sandbox

    def __repr__(self) -> str:
        return f"<clock of {self._sandbox!r}>"

    @property
    def now(self) -> datetime:
        """The sandbox's time, in UTC."""
        return _instant(self.read())

    @property
    def is_frozen(self) -> bool:
        """Whether it is frozen."""
        return bool(self.read()["frozen"])

    def read(self) -> JsonObject:
        """The whole state: `now`, `unix`, `frozen`, `scale`."""
        return self._sandbox.ask("GET /clock")

    def advance(
        self,
        *unnamed: Never,
        seconds: float = 0,
        minutes: float = 0,
        hours: float = 0,
        days: float = 0,
        weeks: float = 0,
        **unknown: Never,
    ) -> datetime:
        """Advance by the sum. Batches and callbacks that are due by then are processed."""
        __tracebackhide__ = True  # hides this frame in pytest's tracebacks
        if unnamed or unknown:
            came = ", ".join([*map(repr, unnamed), *map("{0[0]}={0[1]!r}".format, unknown.items())])
            raise TypeError(f"advance({came}): wanted {_UNITS}, by name, such as advance(hours=24)")
        span = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days + 7 * weeks}
        return _instant(
            self._sandbox.ask("POST /clock/advance", {name: amount for name, amount in span.items() if amount} or span)
        )

    def set(self, now: datetime | str | float) -> datetime:
        """Set the time (UTC unless it has an offset), never back."""
        return _instant(self._sandbox.ask("PUT /clock", {"now": now.isoformat() if isinstance(now, datetime) else now}))

    def freeze(self) -> datetime:
        """Freeze it."""
        return _instant(self._sandbox.ask("POST /clock/freeze"))

    def resume(self) -> datetime:
        """Resume it from its current time."""
        return _instant(self._sandbox.ask("POST /clock/resume"))

    def scale(self, scale: float) -> datetime:
        """Set how many seconds pass per real second."""
        return _instant(self._sandbox.ask("POST /clock/scale", {"scale": scale}))


class SandboxControls(AdminCaller):
    """The methods of a sandbox's client that change it."""

    __slots__ = ()

    @property
    def token(self) -> str:
        """The account used where none is named."""
        raise NotImplementedError  # SandboxClient has it

    def reset(self, part: str = "") -> None:
        """Reset it, or only one part: `journal`, `state`, `stubs`, `clock`, `progression` or `conditions`."""
        if part:
            self.ask("POST /reset/{part}", path={"part": part})
        else:
            self.ask("POST /reset")

    @property
    def progression(self) -> str:
        """What makes batches progress that are queued from now on: `immediate`, `time:SECONDS` or `polls:COUNT`."""
        shown = self.ask("GET /progression")
        kind = str(shown["progression"])
        return f"{kind}:{shown[_AMOUNTS[kind]]:g}" if kind in _AMOUNTS else kind

    @progression.setter
    def progression(self, wanted: str) -> None:
        self.ask("PUT /progression", progression_body(wanted))

    def next(self, operation: str | None = None, **rule: Any) -> JsonObject:
        """Install a stub for the next matching requests: `next("createBatch", status=503, times=2)`.

        Takes the fields of `POST /next` (`reply`, `status`, `fault`, `times`, `body`, `header`, …; `for_` is `for`).
        """
        if not isinstance(operation, str | None):
            raise TypeError("next() takes an operation's key, and a stub's other fields by name: next(**stub)")
        named = {name.rstrip("_"): value for name, value in rule.items()}
        return self.ask("POST /next", ({"operation": operation} if operation else {}) | named)

    def fail(
        self,
        operation: str | None = None,
        *,
        status: int = 500,
        times: int | None = 1,
        retry_after: int | str | None = None,
        fault: str | Mapping[str, Any] | None = None,
        **rule: Any,
    ) -> JsonObject:
        """Let the next requests fail: with a status, or with a fault (as its type, or as an object)."""
        if fault is None:
            wait = {} if retry_after is None else {"retry_after": retry_after}
            fault = {"type": "status", "status": status, **wait}
        return self.next(
            operation, fault={"type": fault} if isinstance(fault, str) else dict(fault), times=times, **rule
        )

    def stubs(self) -> list[JsonObject]:
        """The installed rules, including faults and those of scenarios."""
        return list(self.ask("GET /stubs")["stubs"])

    def unused_stubs(self) -> list[JsonObject]:
        """Stubs of `next` and `fail` that no request has used: `assert sandbox.unused_stubs() == []`."""
        return [each for each in self.stubs() if each["origin"] == "next" and not each["claimed"]]

    def drop_stubs(self) -> int:
        """Remove all stubs and faults; returns their number."""
        return int(self.ask("DELETE /stubs")["removed"])

    def drop_stub(self, id_: str) -> None:
        """Remove the stub with that id, which `next` and `stubs` return."""
        self.ask("DELETE /stubs/{id}", path={"id": id_})

    @property
    def faults(self) -> list[JsonObject]:
        """The standing faults. Assign definitions: `[{"fault": {"type": "reset"}}]`."""
        return list(self.ask("GET /faults")["faults"])

    @faults.setter
    def faults(self, definitions: list[JsonObject]) -> None:
        self.ask("PUT /faults", {"faults": definitions})

    def drop_faults(self) -> int:
        """Remove the standing faults; returns their number."""
        return int(self.ask("DELETE /faults")["removed"])

    def scenario(self, name: str, *, reset: bool = False) -> JsonObject:
        """Apply a scenario; with `reset` after a reset."""
        return self.ask("POST /scenarios/{name}", path={"name": name}, reset=reset or None)

    def scenarios(self) -> list[JsonObject]:
        """The available scenarios, each with its description."""
        return list(self.ask("GET /scenarios")["scenarios"])

    def cancel_batch(self, id_: str) -> JsonObject:
        """Cancel a batch, as its client would."""
        return self.ask("POST /batches/{id}/cancel", path={"id": id_})

    def read_scenario(self, name: str) -> JsonObject:
        """The content of the scenario's file."""
        return self.ask("GET /scenarios/{name}", path={"name": name})

    @property
    def conditions(self) -> JsonObject:
        """How the sandbox differs from the settings. Assign a mapping; `{}` removes all."""
        return dict(self.ask("GET /conditions")["conditions"])

    @conditions.setter
    def conditions(self, wanted: Mapping[str, Any]) -> None:
        self.ask("PUT /conditions", dict(wanted))

    @conditions.deleter
    def conditions(self) -> None:
        self.ask("DELETE /conditions")

    @property
    def credits(self) -> int:
        """The credits of the sandbox's own token. Assign a number."""
        return int(self.account()["credits"])

    @credits.setter
    def credits(self, amount: int) -> None:
        self.set_account(credits=amount)

    @property
    def accounts(self) -> list[JsonObject]:
        """The accounts used so far."""
        return list(self.ask("GET /accounts")["accounts"])

    def account(self, token: str | None = None) -> JsonObject:
        """An account; that of the sandbox's own token unless another is named."""
        return self.ask("GET /accounts/{token}", path={"token": token or self.token})

    def set_account(self, token: str | None = None, **facts: Any) -> JsonObject:
        """Set its `credits`, `email` or `revoked`."""
        return self.ask("PUT /accounts/{token}", facts, path={"token": token or self.token})

    def ledger(self, token: str | None = None, *, limit: int | None = None, after: int | None = None) -> JsonObject:
        """Its charges: `entries`, oldest first, and `next`, the `after` of the next page."""
        return self.ask("GET /accounts/{token}/ledger", path={"token": token or self.token}, limit=limit, after=after)


def _instant(clock: JsonObject) -> datetime:
    return datetime.fromtimestamp(clock["unix"], UTC)
