"""A server that other machines reach is not a way into its own machine."""

import json

import pytest
from attack_server import attacked_server
from receiver import receiving


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "a.localhost"]
)
@pytest.mark.parametrize(("flags", "is_reached"), [((), False), (("--callback-allow", "127.0.0.1"), True)])
def test_a_server_beyond_loopback_sends_no_callback_to_its_own_machine(
    host: str, flags: tuple[str, ...], is_reached: bool
) -> None:
    with (
        receiving() as receiver,
        attacked_server("--host", "0.0.0.0", "--admin-token", "secret", "--progression", "immediate", *flags) as server,
    ):
        target = f"http://{host}:{receiver.server.server_port}/"
        body = json.dumps({"prompts": ["hello"], "callback": target}).encode()
        assert server.request("POST", "/ai/batches", body)[0] == 202

        for _ in range(1000):
            shown = json.loads(server.request("GET", "/__admin/callbacks", X_Mock_Admin_Token="secret")[1])
            [callback] = shown["callbacks"]
            if callback["state"] not in {"pending", "sending"}:
                break

        is_named = is_reached and host == "127.0.0.1"
        assert callback["state"] == ("delivered" if is_named else "refused"), callback
        assert receiver.is_left_alone() is not is_named
