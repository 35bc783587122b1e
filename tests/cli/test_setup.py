"""`init` and `doctor`: from nothing to the first webhook."""

from __future__ import annotations

import signal
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest
import respx

from connector.cli.setup.answers import Answers
from connector.cli.setup.questions import KEYS as KEY_QUESTIONS
from connector.cli.setup.questions import ask
from connector.cli.terminal import PROGRAM
from connector.ledger.db.migrations import newest_revision
from connector.sandbox.options import (
    FAKE_AMPLITUDE_KEY,
    FAKE_AMPLITUDE_REST_KEY,
    FAKE_KOJI_KEY,
    FAKE_SIGNING_KEY,
)
from connector.settings.files import read_dotenv
from connector.settings.sources import load
from tests.support.cli_runs import (
    PATIENCE,
    ROOT,
    STARTED,
    Machine,
    Started,
    Terminal,
    free_port,
    sandbox_settings,
    wait_for,
)

pytestmark = pytest.mark.e2e

KEYS = {
    "KOJI_API_KEY": FAKE_KOJI_KEY,
    "KOJI_PROJECT_ID": "sandbox-project",
    "AMPLITUDE_API_KEY": FAKE_AMPLITUDE_KEY,
    "AMPLITUDE_SECRET_KEY": FAKE_AMPLITUDE_REST_KEY,
    "PUBLIC_URL": "https://connector.invalid",
    "KOJI_WEBHOOK_SECRET": FAKE_SIGNING_KEY,
}
"""In the order in which `init` asks."""


WEBHOOK = "KOJI_WEBHOOK_SECRET"


def local(machine: Machine) -> str:
    return f"http://127.0.0.1:{machine.settings['PORT']}"


def squeezed(text: str) -> str:
    """Return a text without the breaks of its lines."""
    return " ".join(text.split())


@pytest.fixture
def machine(tmp_path: Path, sandbox: str) -> Machine:
    httpx.post(f"{sandbox}/control/reset", verify=False).raise_for_status()
    places = {name: value for name, value in sandbox_settings(sandbox).items() if name.endswith("_URL")}
    return Machine(tmp_path, {**places, "PORT": str(free_port())})


def deliver(sandbox: str, machine: Machine, secret: str = FAKE_SIGNING_KEY) -> None:
    """Let the Koji stand-in finish an interview and call our webhook."""
    target = f"http://127.0.0.1:{machine.settings['PORT']}/webhooks/koji"
    endpoint = {"url": target, "secret": secret, "verify": False, "retries": 0}
    httpx.put(f"{sandbox}/control/koji/webhook", json=endpoint).raise_for_status()
    interview = {"state": "completed", "email": "person-001@example.com", "quality_score": 4.1}
    httpx.post(f"{sandbox}/control/koji/interviews", json=interview, verify=False).raise_for_status()


def shown(machine: Machine, server: Started, event: str, words: str) -> CompletedProcess[str]:
    """Wait until the log of a server names an event, then until `doctor` says so; return what it said."""
    wait_for(lambda: event in server.output())
    runs: list[CompletedProcess[str]] = []

    def says() -> bool:
        runs.append(machine.run("doctor"))
        return words in runs[-1].stdout

    wait_for(says)
    return runs[-1]


def answered(machine: Machine, *words: str, typed: dict[str, str]) -> Terminal:
    terminal = machine.terminal("init", *words)
    for name, value in typed.items():
        terminal.expect(f"{name}: ")
        terminal.type(value + "\n")
    return terminal


def user_folder(machine: Machine) -> Path:
    return machine.home / ".config" / "koji-amplitude"


@pytest.mark.slow
def test_init_goes_from_keys_to_the_first_webhook(machine: Machine, sandbox: str) -> None:
    env = machine.cwd / ".env"
    env.write_text("# ours\nUNRELATED=1\nKOJI_SEND_EMAIL=true\n")
    terminal = machine.terminal("init")
    terminal.expect("Starting the server")
    terminal.expect(f"The server answers at http://127.0.0.1:{machine.settings['PORT']}")
    for name, value in KEYS.items():
        terminal.expect(f"{name}: ")
        if name == "KOJI_WEBHOOK_SECRET":
            assert "URL    https://connector.invalid/webhooks/koji" in terminal.screen
            ping = f"http://127.0.0.1:{machine.settings['PORT']}/webhooks/koji"
            assert httpx.post(ping, json={"type": "ping"}).json() == {"status": "ignored"}
        terminal.type(value + "\n")
        if name == "KOJI_API_KEY":
            terminal.expect(f"{len(FAKE_KOJI_KEY)} characters. Koji accepts the key")
        if name == "PUBLIC_URL":
            terminal.expect("the name connector.invalid does not resolve")
    terminal.expect("A test call came")
    terminal.expect("Waiting for Koji's first webhook")
    deliver(sandbox, machine, secret="another-secret")
    terminal.expect("A webhook was refused. A signature came, made with another secret")
    terminal.expect(f"restart the server, or leave and run {PROGRAM} init (settings files: {env})")
    deliver(sandbox, machine)
    terminal.expect("interview.analysis_ready came, signed in the header x-koji-signature (hex)")
    terminal.expect(": synced")
    assert terminal.end() == 0
    assert terminal.screen.count("Add Webhook Endpoint") == 1
    for secret in (FAKE_KOJI_KEY, FAKE_AMPLITUDE_KEY, FAKE_AMPLITUDE_REST_KEY, FAKE_SIGNING_KEY):
        assert secret not in terminal.screen
    assert env.read_text().startswith("# ours\nUNRELATED=1\nKOJI_SEND_EMAIL=true\n")
    assert read_dotenv(env) == {"UNRELATED": "1", "KOJI_SEND_EMAIL": "true", **KEYS}
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert not user_folder(machine).exists()


def test_an_answer_that_cannot_be_right_is_asked_again(machine: Machine) -> None:
    terminal = machine.terminal("init", "--no-wait")
    for wrong, why in (
        ("two words", "must be visible ASCII characters without spaces"),
        ("whsec_1234", "begins with whsec_, as KOJI_WEBHOOK_SECRET does"),
        ("another-key", "11 characters. Koji refused KOJI_API_KEY"),
    ):
        terminal.expect("KOJI_API_KEY: ")
        terminal.type(wrong + "\n")
        terminal.expect(why)
    terminal.expect("KOJI_API_KEY: ")
    terminal.type("\n")
    terminal.expect("KOJI_PROJECT_ID: ")
    terminal.type("https://koji.so/projects/p-1\n")
    terminal.expect("It must be the id alone")
    for name in [name for name in KEYS if name != "KOJI_API_KEY"]:
        terminal.expect(f"{name}: ")
        terminal.type(KEYS[name] + "\n")
    terminal.expect("Next: Set KOJI_API_KEY")
    assert terminal.end() == 1
    for wrong in ("two words", "whsec_1234", "another-key"):
        assert wrong not in terminal.screen
    kept = read_dotenv(user_folder(machine) / ".env")
    assert kept == {name: value for name, value in KEYS.items() if name != "KOJI_API_KEY"}


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_answered_and_a_second_run_asks_the_rest(machine: Machine) -> None:
    first = dict(list(KEYS.items())[:2])
    terminal = answered(machine, typed=first)
    terminal.expect("AMPLITUDE_API_KEY: ")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "Traceback" not in terminal.screen
    assert read_dotenv(user_folder(machine) / ".env") == first
    rest = {name: value for name, value in KEYS.items() if name not in first}
    terminal = answered(machine, typed=rest)
    terminal.expect("Ctrl-C leaves.")
    terminal.interrupt()
    assert terminal.end() == 0
    assert "KOJI_API_KEY is set. Koji accepts the key" in terminal.screen
    assert "KOJI_API_KEY: " not in terminal.screen
    assert "continues from here" in terminal.screen
    assert read_dotenv(user_folder(machine) / ".env") == KEYS


def test_a_set_key_that_is_refused_is_asked_for(machine: Machine) -> None:
    user_folder(machine).mkdir(parents=True)
    env = user_folder(machine) / ".env"
    env.write_text("".join(f"{name}={value}\n" for name, value in {**KEYS, "KOJI_API_KEY": "old"}.items()))
    terminal = answered(machine, "--no-wait", typed={"KOJI_API_KEY": FAKE_KOJI_KEY})
    assert terminal.end() == 0
    assert "KOJI_API_KEY is set. Koji refused KOJI_API_KEY" in terminal.screen
    assert read_dotenv(env)["KOJI_API_KEY"] == FAKE_KOJI_KEY
    del machine.settings["PORT"]
    terminal = machine.terminal("init", "--no-wait", "--here")
    assert terminal.end() == 0
    assert ": \n" not in terminal.screen


@pytest.mark.slow
def test_a_secret_that_the_last_webhooks_were_not_signed_with_is_asked_for_again(
    machine: Machine, sandbox: str
) -> None:
    env = machine.cwd / ".env"
    env.write_text("".join(f"{name}={value}\n" for name, value in {**KEYS, WEBHOOK: "wrong"}.items()))
    with machine.started("serve", until=STARTED) as server:
        deliver(sandbox, machine)
        shown(machine, server, "webhooks_not_accepted", "Refused webhooks")
        server.send_signal(signal.SIGTERM)
        server.wait(PATIENCE)  # it gives its leases back: the next server would wait for their end
    terminal = answered(machine, "--no-wait", typed={WEBHOOK: FAKE_SIGNING_KEY})
    terminal.end()
    assert f"{WEBHOOK} is set. The last webhook was refused. A signature came, made with" in terminal.screen
    assert f"Restart a server that runs (settings files: {env})" in terminal.screen.replace("\r\n", "")
    assert read_dotenv(env)[WEBHOOK] == FAKE_SIGNING_KEY
    with machine.started("serve", until=STARTED) as server:
        deliver(sandbox, machine)
        shown(machine, server, "batch_sent", "1 synced")
    terminal = machine.terminal("init", "--no-wait")
    terminal.expect(f"{WEBHOOK} is set.")
    terminal.end()
    assert f"{WEBHOOK}: " not in terminal.screen


def test_another_ledgers_server_at_the_port_is_noticed(machine: Machine, tmp_path: Path) -> None:
    machine.settings.update(KEYS)
    (tmp_path / "another").mkdir()
    other = Machine(tmp_path / "another", dict(machine.settings))
    says = f"Another koji-amplitude, with another ledger or API token, holds {local(machine)}: stop it, or set PORT"
    with other.started("serve", until=STARTED):
        terminal = machine.terminal("init")
        terminal.expect(f"error: PORT: {says}")
        assert terminal.end() == 2
        assert f"warn  server  {says}"[:70] in machine.run("doctor").stdout


@respx.mock
def test_a_key_of_the_other_region_says_how_the_region_was_found(
    respx_mock: respx.MockRouter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    refused = {"code": 400, "error": "Invalid API key: 0123"}
    missing = {**refused, "error": "Missing field", "events_with_missing_fields": {"event_type": [0]}}
    respx_mock.post("https://api2.amplitude.com/2/httpapi").mock(httpx.Response(400, json=refused))
    respx_mock.post("https://api.eu.amplitude.com/2/httpapi").mock(httpx.Response(400, json=missing))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    monkeypatch.setattr("getpass.getpass", lambda _: "a-key")
    monkeypatch.chdir(tmp_path)
    answers = Answers.of("default", here=True)
    ask(next(one for one in KEY_QUESTIONS if one.setting == "AMPLITUDE_API_KEY"), answers)
    found = (
        "Amplitude refuses the key in the region us and accepts it in eu: AMPLITUDE_REGION=eu is kept too."
    )
    assert f"  5 characters. {found}\n" in capsys.readouterr().err
    assert read_dotenv(tmp_path / ".env") == {"AMPLITUDE_API_KEY": "a-key", "AMPLITUDE_REGION": "eu"}


def test_here_writes_into_the_working_directory(machine: Machine) -> None:
    done = machine.run("init", "--non-interactive", "--here", more=KEYS)
    assert done.returncode == 0, done.stdout
    assert read_dotenv(machine.cwd / ".env") == KEYS
    assert not user_folder(machine).exists()


def test_without_a_terminal_values_come_from_the_environment(machine: Machine) -> None:
    done = machine.run("init")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--non-interactive" in done.stderr
    done = machine.run("init", "--non-interactive", more=KEYS)
    assert done.returncode == 0
    assert read_dotenv(user_folder(machine) / ".env") == KEYS
    assert "https://connector.invalid/webhooks/koji" in done.stderr
    assert FAKE_KOJI_KEY not in done.stdout + done.stderr


def test_a_connection_is_added_with_references(machine: Machine) -> None:
    (machine.cwd / "connector.toml").write_text(
        '# ours\nport = 8080\n\n[connections.onboarding]\nmode = "text"\n\n[connections.x]\nlocale = "en"\n'
    )
    own = {f"{name}_ONBOARDING": value for name, value in KEYS.items() if name != "PUBLIC_URL"}
    done = machine.run("init", "--non-interactive", "--connection", "onboarding", more=own)
    assert "Connection onboarding" in done.stdout
    assert "webhooks/koji/onboarding" in done.stderr
    assert read_dotenv(user_folder(machine) / ".env") == own
    text = (machine.cwd / "connector.toml").read_text()
    assert FAKE_KOJI_KEY not in text
    assert 'koji_api_key = "env:KOJI_API_KEY_ONBOARDING"\n' in text
    settings = load({}, machine.cwd, user_folder(machine)).settings
    onboarding = settings.connections["onboarding"]
    assert (onboarding.mode, settings.connections["x"].locale) == ("text", "en")
    assert onboarding.koji_project_id == "sandbox-project"
    machine.run("init", "--non-interactive", "--connection", "onboarding", more=own)
    assert (machine.cwd / "connector.toml").read_text() == text
    done = machine.run("init", "--non-interactive", "--connection", "On Boarding")
    assert done.returncode == 2


def test_without_public_https_a_tunnel_is_proposed(machine: Machine) -> None:
    done = machine.run("init", "--non-interactive", "--no-wait", more={**KEYS, "PUBLIC_URL": ""})
    assert f"cloudflared tunnel --url http://127.0.0.1:{machine.settings['PORT']}" in done.stderr


def test_beside_a_server_the_store_is_watched(machine: Machine, sandbox: str) -> None:
    machine.settings.update(KEYS)
    with machine.started("serve", until=STARTED):
        terminal = machine.terminal("init")
        terminal.expect("watching its ledger")
        deliver(sandbox, machine)
        terminal.expect("signed in the header x-koji-signature (hex)")
        assert terminal.end() == 0


def test_doctor_finds_everything_in_order(machine: Machine, sandbox: str) -> None:
    machine.settings.update(KEYS)
    with machine.started("serve", until=STARTED) as server:
        deliver(sandbox, machine)
        done = shown(machine, server, "batch_sent", "1 synced")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "Next: Nothing: everything is in order."
    for words in (
        "environment (",
        f"schema {newest_revision()}.",
        "GB free",
        "Koji accepts the key",
        "signed in the header",
        "Answers at",
    ):
        assert words in done.stdout
    assert FAKE_KOJI_KEY not in done.stdout
    assert "\x1b" not in done.stdout


def test_doctor_names_the_one_next_step(machine: Machine) -> None:
    done = machine.run("doctor")
    assert done.returncode == 1
    url = f"http://127.0.0.1:{machine.settings['PORT']}"
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"Next: Nothing answers at {url}. Start the server: ")
    assert last.endswith("koji-amplitude serve")
    with machine.started("serve", until=STARTED):
        done = machine.run("doctor")
    assert done.returncode == 1
    step = "Next: Set KOJI_API_KEY: make a key in Koji, Settings, Integrations."
    assert done.stdout.splitlines()[-1] == step


def test_doctor_shows_refused_webhooks_and_which_setting_to_change(machine: Machine, sandbox: str) -> None:
    machine.settings.update(KEYS)
    with machine.started("serve", until=STARTED) as server:
        deliver(sandbox, machine, secret="another-secret")
        done = shown(machine, server, "webhooks_not_accepted", "Refused webhooks")
    assert done.returncode == 1
    assert "x-koji-signature" in done.stdout
    assert "KOJI_WEBHOOK_SECRET" in done.stdout.splitlines()[-1]
    assert "person-001" not in done.stdout


def test_an_old_refused_webhook_does_not_lead(machine: Machine, sandbox: str) -> None:
    machine.settings.update(KEYS, PUBLIC_URL="http://connector.invalid")
    file = machine.home / "ledger.db"
    machine.settings["DATABASE_URL"] = f"sqlite:///{file}"
    with machine.started("serve", until=STARTED) as server:
        deliver(sandbox, machine, secret="another-secret")
        done = shown(machine, server, "webhooks_not_accepted", "Refused webhooks")
        assert "KOJI_WEBHOOK_SECRET" in done.stdout.splitlines()[-1]

        def is_old() -> bool:  # each webhook of the interview is refused, and noted in its own time
            with closing(sqlite3.connect(file)) as ledger:
                ledger.execute("UPDATE diagnostic SET at = at - 660000 WHERE kind = 'refused'")
                ledger.commit()
            last = machine.run("doctor").stdout.splitlines()[-1]
            return last.startswith("Next: PUBLIC_URL is http://connector.invalid; ")

        wait_for(is_old)
        assert "Refused webhooks" in machine.run("doctor").stdout


def test_used_credits_are_no_good_news_and_a_misspelt_setting_leads(machine: Machine) -> None:
    machine.settings.update(KEYS)
    people = '[{"user_id": "user-1"}, {"user_id": "user-2"}]'
    machine.run("launch-cohort-interviews", "--yes", "--members", people, "--mode", "text")
    done = machine.run("doctor", more={"CONNECTOR_MAX_CREDITS_PER_DAY": "1", "KOJI_PROJECTID": "p-1"})
    assert "warn  launches" in done.stdout
    assert "2 of the 1 credits of this UTC day are used. Launches go on at 00:00 UTC;" in squeezed(
        done.stdout
    )
    assert done.stdout.splitlines()[-1].startswith("Next: KOJI_PROJECTID: is not a setting of this version")


def test_doctor_shows_faults_of_connections_that_left_the_settings(machine: Machine) -> None:
    machine.settings.update(KEYS)
    file = machine.home / "ledger.db"
    machine.settings["DATABASE_URL"] = f"sqlite:///{file}"
    machine.run("doctor")
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute(
            "INSERT INTO fault VALUES ('hooks', 'hook_1', 'shop', 'KeyError', 3, 1790000000000, NULL)"
        )
        ledger.commit()
    done = machine.run("doctor")
    assert "hooks hook_1 of shop, which left the settings," in " ".join(done.stdout.split())


def test_doctor_says_what_is_wrong_with_the_store_and_the_file(machine: Machine) -> None:
    machine.settings.update(KEYS)
    (machine.cwd / ".env").write_text("PORT=8080\n")
    (machine.cwd / ".env").chmod(0o644)
    broken = machine.home / "broken.db"
    broken.write_text("no database at all, but long enough to be looked at" * 40)
    machine.settings["DATABASE_URL"] = f"sqlite:///{broken}"
    done = machine.run("doctor")
    assert done.returncode == 1
    shown = "".join(done.stdout.split())
    assert f"Othersonthismachinecanread{machine.cwd}/.env:chmod600{machine.cwd}/.env" in shown
    assert "fail  ledger" in done.stdout
    assert "DATABASE_URL" in " ".join(done.stdout.splitlines()[-2:])


def test_doctor_names_the_files_that_others_may_read(machine: Machine) -> None:
    machine.settings.update(KEYS, DATABASE_URL=f"sqlite:///{machine.home / 'store' / 'ledger.db'}")
    machine.run("doctor")
    names = ("ledger.db", "api-token", "encryption-key")
    (machine.home / "store" / "api-token").write_text("token\n")
    for name in names:
        (machine.home / "store" / name).chmod(0o644)
    shown = "".join(machine.run("doctor").stdout.split())
    for name in names:
        assert f"{machine.home}/store/{name}" in shown
    assert "chmod600" in shown


def test_doctor_and_serve_name_a_file_of_settings_with_secrets_that_others_may_read(machine: Machine) -> None:
    machine.settings.update(KEYS)
    document = machine.cwd / "connector.toml"
    document.write_text('[connections.shop]\nkoji_webhook_secret = "env:SIGNS"\n')
    document.chmod(0o644)
    machine.settings["SIGNS"] = "whsec-of-the-tests"
    advice = f"Othersonthismachinecanread{document}:chmod600{document}"
    assert advice not in "".join(machine.run("doctor").stdout.split())
    document.write_text('[connections.shop]\nkoji_webhook_secret = "whsec-of-the-tests"\n')
    assert advice in "".join(machine.run("doctor").stdout.split())
    with machine.started("serve", until=f"chmod 600 {document}"):
        pass
    document.unlink()
    dotenv = machine.cwd / ".env"
    dotenv.write_text("KOJI_WEBHOOK_SECRET=whsec-of-the-tests\n")
    dotenv.chmod(0o644)
    assert f"{dotenv}:chmod600{dotenv}" in "".join(machine.run("doctor").stdout.split())
    with machine.started("serve", until=f"chmod 600 {dotenv}"):
        pass


def test_every_connection_is_checked(machine: Machine) -> None:
    machine.settings.update(KEYS)
    (machine.cwd / "connector.toml").write_text('[connections.onboarding]\nkoji_api_key = "wrong"\n')
    with machine.started("serve", until=STARTED):
        done = machine.run("doctor")
    assert done.returncode == 1
    assert "Connection default" in done.stdout
    assert "Connection onboarding" in done.stdout
    assert "Next: onboarding: " in done.stdout
    assert "connector.toml" in done.stdout


@pytest.mark.slow
def test_a_printed_command_exists_where_it_is_printed(machine: Machine) -> None:
    machine.settings["PYTHONPATH"] = str(ROOT)  # a process of its own, which looks at its own PATH
    script = Path(sys.executable).with_name("koji-amplitude")
    found = machine.run("doctor", more={"PATH": str(script.parent)}).stdout
    assert "Start the server: koji-amplitude serve" in found
    found = machine.run("doctor", more={"PATH": "/usr/bin:/bin"}).stdout
    assert found.splitlines()[-1].endswith(f"Start the server: {script} serve")
