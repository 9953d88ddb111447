"""Session: the engine. It tells the story of a download and is the front door of the library.

It joins the rooms below and leaves their work to them: bytes to `transfer`, files to `bundle`, choices to `planning`.
"""
