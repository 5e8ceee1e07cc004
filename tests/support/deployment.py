"""Stand-ins for systemctl, docker compose, helm and kubectl, which carry out what deploy/ says.

They start the real command as processes of this machine, with the environment and the secrets that
the unit, the compose file or the rendered chart gives it. A page's commands call them from a shell:
``python -m tests.support.deployment FOLDER PROGRAM ARGUMENT…``.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.forked import ROOT

RENDERED_CHART = ROOT / "tests" / "support" / "rendered_chart.yaml"
WATCHWORD = str(Path(sys.prefix, "bin", "watchword"))
_VARIABLE = re.compile(r"\$\{(\w+)(?::[-?]([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Stand:
    """A folder that stands for a machine, an engine or a cluster.

    Args:
        folder: where it is; `overrides.json` in it has the settings that only a test needs.
    """

    folder: Path

    def run(self, words: list[str], environment: dict[str, str], folder: Path) -> None:
        """Run a command of the product to its end; a failure ends the stand-in too."""
        done = subprocess.run(words, env=self._environment(environment), cwd=folder, check=False)
        if done.returncode:
            sys.exit(done.returncode)

    def start(self, words: list[str], environment: dict[str, str], folder: Path) -> None:
        """Start a server, in a session of its own, and note its process id."""
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                words,
                env=self._environment(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.folder / "pid").write_text(str(process.pid))

    def _environment(self, environment: dict[str, str]) -> dict[str, str]:
        overrides = json.loads((self.folder / "overrides.json").read_text())
        return {"PYTHONPATH": str(ROOT)} | environment | overrides


def systemctl(stand: Stand, verb: str, *_: str) -> None:
    """Start and reload what the installed unit says."""
    unit = read_unit(stand.folder / "etc" / "systemd" / "system" / "watchword.service")
    folder = Path(unit["WorkingDirectory"][0])
    if verb == "enable":
        credentials = stand.folder / "credentials"
        credentials.mkdir(mode=0o700)
        for credential in unit["LoadCredential"]:
            name, _, path = credential.partition(":")
            shutil.copy(path, credentials / name)
        variables = (each.replace("%d", str(credentials)) for each in unit["Environment"])
        environment = dict(each.split("=", 1) for each in variables)
        stand.start(unit["ExecStart"][0].split(), environment, folder)
    elif verb in ("reload", "restart"):
        (command,) = unit["ExecReload"]
        pid = (stand.folder / "pid").read_text()
        subprocess.run(command.replace("$MAINPID", pid).split(), check=True)


def read_unit(path: Path) -> dict[str, list[str]]:
    """Read the values of a unit by their names, over all of its sections."""
    values: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values


def docker(stand: Stand, compose: str, verb: str, *words: str) -> None:
    """Carry out `docker compose` in the folder with the compose file."""
    assert compose == "compose"
    services = read_compose(Path.cwd())
    service = services["watchword"]
    needed = services["upgrade"]
    environment = _with_secrets(service["environment"], "/run/secrets", Path("secrets").resolve())
    arguments = [word for word in words if not word.startswith(("--rm", "--detach", "--no-TTY"))]
    if verb in ("run", "up"):
        assert service["depends_on"] == {"upgrade": {"condition": "service_completed_successfully"}}
        assert needed["environment"] == service["environment"]
        stand.run([WATCHWORD, *needed["command"]], environment, stand.folder)
    if verb == "up":
        stand.start([WATCHWORD, *service["command"]], environment, stand.folder)
    elif verb == "run":
        assert arguments[0] == "watchword"
        stand.run([WATCHWORD, *arguments[1:]], environment, stand.folder)
    elif verb == "exec":
        assert arguments[:2] == ["watchword", "watchword"]
        stand.run([WATCHWORD, *arguments[2:]], environment, stand.folder)
    else:
        assert verb == "build"
        assert (Path.cwd() / service["build"]["context"] / service["build"]["dockerfile"]).is_file()


def read_compose(folder: Path) -> dict[str, Any]:
    """Read the services of a compose file, with the variables of `.env` put in."""
    lines = (folder / ".env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    def value(found: re.Match[str]) -> str:
        return variables.get(found[1]) or str(found[2])

    services: dict[str, Any] = yaml.safe_load(
        _VARIABLE.sub(value, (folder / "compose.yaml").read_text())
    )["services"]
    return services


def helm(stand: Stand, verb: str, *words: str) -> None:
    """Install what the chart renders to: the jobs in their order, then the pods."""
    assert verb == "install"
    documents = list(yaml.safe_load_all(RENDERED_CHART.read_text()))
    jobs = [each for each in documents if each["kind"] == "Job"]
    jobs.sort(key=lambda job: int(job["metadata"]["annotations"]["helm.sh/hook-weight"]))
    for job in jobs:
        for words_of_pod, environment in _containers(stand, job):
            stand.run(words_of_pod, environment, stand.folder)
    (deployment,) = (each for each in documents if each["kind"] == "Deployment")
    for words_of_pod, environment in _containers(stand, deployment):
        stand.start(words_of_pod, environment, stand.folder)
        (stand.folder / "pod.json").write_text(json.dumps(environment))


def _containers(stand: Stand, workload: Any) -> Iterator[tuple[list[str], dict[str, str]]]:
    pod = workload["spec"]["template"]["spec"]
    (secret,) = (each["secret"] for each in pod["volumes"] if "secret" in each)
    for container in pod["containers"]:
        variables = {each["name"]: each["value"] for each in container["env"]}
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        folder = stand.folder / "cluster" / secret["secretName"]
        environment = _with_secrets(variables, mounts["secrets"], folder)
        yield [WATCHWORD, *container["args"]], environment


def _with_secrets(variables: dict[str, str], mounted: str, folder: Path) -> dict[str, str]:
    return {name: str(value).replace(mounted, str(folder)) for name, value in variables.items()}


def kubectl(stand: Stand, verb: str, *words: str) -> None:
    """Make a Secret, and run commands in a pod."""
    if words[:2] == ("secret", "generic"):
        folder = stand.folder / "cluster" / words[2]
        folder.mkdir(parents=True)
        for word in words:
            if word.startswith("--from-file="):
                shutil.copy(word.removeprefix("--from-file="), folder)
    elif verb == "exec":
        environment = json.loads((stand.folder / "pod.json").read_text())
        command = words[words.index("--") + 1 :]
        assert command[0] == "watchword"
        stand.run([WATCHWORD, *command[1:]], environment, stand.folder)
    else:
        assert (verb, words[0]) in {("create", "namespace"), ("rollout", "status")}


if __name__ == "__main__":
    program = {"systemctl": systemctl, "docker": docker, "helm": helm, "kubectl": kubectl}
    program[sys.argv[2]](Stand(Path(sys.argv[1])), *sys.argv[3:])
