"""A CherryPy application as somebody has it on a card: one page, which says that it is there."""

import cherrypy


class App:
    @cherrypy.expose
    def index(self):
        return "hello from CherryPy\n"


cherrypy.config.update({"server.socket_host": "0.0.0.0", "server.socket_port": 8080})
cherrypy.quickstart(App())
