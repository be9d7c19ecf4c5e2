"""The Telldus web application: one page that says what telldusd answers.

Started as root; becomes user telldus by itself as soon as the port is bound.
The module telldus is found through PYTHONPATH.
"""

import grp
import os
import pwd

import cherrypy
from cherrypy.process.plugins import DropPrivileges

import telldus

USER = "telldus"


class Pages:
    @cherrypy.expose
    def index(self):
        cherrypy.response.headers["Content-Type"] = "text/plain; charset=utf-8"
        who = pwd.getpwuid(os.geteuid()).pw_name
        lines = [f"cherrytelldus runs as {who}"]
        try:
            count = telldus.device_count()
            lines.append(f"telldusd answers: {count} devices")
            lines += [f"  {at}: {telldus.device_name(at)}" for at in range(1, count + 1)]
        except OSError as error:
            cherrypy.response.status = 503
            lines.append(f"telldusd does not answer: {error}")
        return "\n".join(lines) + "\n"


def main():
    cherrypy.config.update(
        {
            "server.socket_host": "0.0.0.0",
            "server.socket_port": 8080,
            "server.thread_pool": 4,
            "engine.autoreload.on": False,
        }
    )
    # An engine plugin: it acts once the server has its port, and before any page.
    DropPrivileges(
        cherrypy.engine,
        uid=pwd.getpwnam(USER).pw_uid,
        gid=grp.getgrnam(USER).gr_gid,
        umask=0o022,
    ).subscribe()
    cherrypy.quickstart(Pages())


if __name__ == "__main__":
    main()
