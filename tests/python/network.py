"""A real local network in a process of its own, for the suites of this folder."""

import json
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass

SOMA = os.environ.get("SOMA_BIN", "target/debug/soma")
DAY_MS = 86_400_000


@dataclass
class Network:
    """What `soma start localnet --json` says, and the process behind it."""

    process: subprocess.Popen
    ready: dict

    @property
    def rpc_url(self):
        return self.ready["rpc_url"]

    @property
    def faucet_url(self):
        return self.ready["faucet_url"]

    @property
    def admin_url(self):
        return self.ready["admin_url"]

    @property
    def scoring_url(self):
        return self.ready["scoring_url"]

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def start(*flags, ports=("0", "127.0.0.1:0"), epoch_duration_ms=DAY_MS):
    """Starts a throw-away network; by default on free ports, with long epochs."""
    command = [SOMA, "start", "localnet", "--force-regenesis", "--json"]
    command += ["--epoch-duration-ms", str(epoch_duration_ms)]
    if ports is not None:
        rpc, faucet = ports
        command += ["--fullnode-rpc-port", rpc, f"--with-faucet={faucet}"]
        command += ["--scoring-port", "0", "--admin-port", "0"]
    process = subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 0.2)[0]:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the network ended with {process.wait()}")
            return Network(process, json.loads(line))
    process.kill()
    raise RuntimeError("the network did not get ready")
