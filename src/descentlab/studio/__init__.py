"""The studio: one page to play with descent on, served by a local server or shown in a notebook.

messages: one message in → reply and buffers out, for both; server, guard, lanes: the local server; widget: the
notebook; page/: the one ES module that both show. No mathematics of its own.
"""
