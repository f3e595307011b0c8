"""The real Milvus server as a process that can be killed and come back."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from milvus import MilvusServer, MilvusServerConfig


class Server:
    """The server with its folder; it can be killed and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.start()

    def start(self) -> None:
        here = Path.cwd()
        config = MilvusServerConfig(data_dir=str(self.folder), proxy_port=19530)
        config.set("proxy.timeTickInterval", 20)  # ms: the clock that strong consistency waits for
        config.set("queryCoord.checkInterval", 100)  # ms: how soon a new collection is served
        config.set("queryCoord.distPullInterval", 50)
        config.set("common.session.ttl", 5)  # s: how soon a server that comes back is believed
        self.running = MilvusServer(config)
        self.running.start()
        os.chdir(here)  # the server's package goes to its own folder

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.running.listen_port}"

    def start_again(self) -> None:
        """The same server on the same folder and port; its package would refuse a port that was in use just now."""
        program = self.folder / "bin" / "milvus"
        names = {"DEPLOY_MODE": "STANDALONE", "METRICS_PORT": str(self.running.webservice_port)}
        names |= {"MILVUS_RUN_DIR": str(self.folder / "run"), "LD_LIBRARY_PATH": str(program.parent)}
        with (self.folder / "logs" / "again.log").open("wb") as log:
            self.running.server_proc = subprocess.Popen(
                [program, "run", "standalone"], cwd=self.folder, env=os.environ | names, stdout=log, stderr=log
            )
        self.running.wait_started()

    def kill(self) -> None:
        """As a power cut would: no time to write anything."""
        process = self.running.server_proc
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        self.running.stop()
