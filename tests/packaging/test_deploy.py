"""The files of deploy/ fit the server: settings, paths and names. No container engine and no cluster is asked."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from mockserver.cli import _parser
from mockserver.server.process import END
from mockserver.settings.load import read_settings
from mockserver.settings.parse import read_store
from mockserver.web.gateway import MAX_UPLOAD

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load(re.sub(r"\$\{\w+:\?[^}]*\}", "secret", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
SERVICES: dict[str, Any] = COMPOSE["services"]
REPLICAS = {name: each for name, each in SERVICES.items() if each["image"] == "mockserver"}
NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
MANIFESTS: list[dict[str, Any]] = [
    manifest
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
[DEPLOYMENT] = [each for each in MANIFESTS if each["kind"] == "Deployment"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
OLDEST = "1.29"
"""The oldest version of Kubernetes whose schemas are asked."""


def of_kind(kind: str) -> dict[str, Any]:
    [found] = [each for each in MANIFESTS if each["kind"] == kind and each["metadata"]["name"] == "mockserver"]
    return found


def variables() -> dict[str, str]:
    """The container's variables; `secret` where a value comes from the cluster."""
    secrets = {"MOCKSERVER_STORE": "redis://valkey:6379/0"}
    return {each["name"]: each.get("value", secrets.get(each["name"], "secret")) for each in CONTAINER["env"]}


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("number", range(len(MANIFESTS)))
def test_kubernetes_takes_every_manifest(number: int, version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[number], version, strict=True)


def test_a_misspelt_field_of_a_manifest_is_noticed() -> None:
    wrong = {**of_kind("Service"), "spec": {"selectors": {}, "ports": []}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, OLDEST, strict=True)


def test_pods_are_selected_by_their_service_and_by_the_disruption_budget() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]

    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("Service")["spec"]["selector"] == labels
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("PodDisruptionBudget")["spec"]["minAvailable"] < DEPLOYMENT["spec"]["replicas"]


def test_variables_of_pods_and_replicas_are_settings() -> None:
    given = {"pod": variables(), **{name: each["environment"] for name, each in REPLICAS.items()}}

    assert len(given) == 3
    for name, each in given.items():
        settings, warnings = read_settings({}, each)
        assert warnings == []
        assert settings.ready_when_store
        assert settings.admin_token == "secret"
        assert read_store(settings.store).kind == "redis"
        assert settings.replica in {name, "secret"}


def test_pods_and_containers_have_time_to_drain() -> None:
    pod, _ = read_settings({}, variables())
    assert pod.drain > 0
    assert POD["terminationGracePeriodSeconds"] > pod.drain + END
    for each in REPLICAS.values():
        settings, _ = read_settings({}, each["environment"])
        assert int(each["stop_grace_period"].removesuffix("s")) > settings.drain + END


def test_probes_ask_paths_and_ports_that_there_are() -> None:
    [port] = CONTAINER["ports"]
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/health",
        "liveness": "/health",  # not /ready: a store that is gone is no reason to restart a replica
        "readiness": "/ready",
    }
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert port["containerPort"] == read_settings({}, {})[0].port
    assert of_kind("Service")["spec"]["ports"][0]["targetPort"] == port["name"]


def test_commands_are_those_of_the_command_line() -> None:
    for words in (CONTAINER["args"], *(each["command"] for each in REPLICAS.values())):
        assert _parser().parse_args(words)
    for each in REPLICAS.values():
        assert _parser().parse_args(each["healthcheck"]["test"][2:]).url is None


def test_nginx_leads_to_the_replicas_of_the_compose_file() -> None:
    [outside] = SERVICES["nginx"]["ports"]

    assert re.findall(r"server (\S+):4024", NGINX) == list(REPLICAS)
    assert f"listen {outside.split(':')[-1]};" in NGINX
    assert outside.startswith("127.0.0.1:")
    assert f"client_max_body_size {MAX_UPLOAD // 1024**2}m;" in NGINX


def test_stores_keep_an_append_only_file_on_a_volume() -> None:
    [stateful] = [each for each in MANIFESTS if each["kind"] == "StatefulSet"]
    [pod] = stateful["spec"]["template"]["spec"]["containers"]

    for words in (SERVICES["store"]["command"], pod["args"]):
        assert words[words.index("--appendonly") + 1] == "yes"
        assert words[words.index("--maxmemory-policy") + 1] == "noeviction"
    assert SERVICES["store"]["volumes"] == ["store:/data"]
    assert [each["mountPath"] for each in pod["volumeMounts"]] == ["/data"]
