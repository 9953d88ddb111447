"""Whom TLS believes: the system's authorities, or those that the user names; never fewer checks than asked for."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from hlsdl.access.urls import SourceOrigin
from hlsdl.errors import UsageError
from hlsdl.transfer.options import TransferOptions


def nobody(_origin: SourceOrigin) -> bool:
    """Whom a certificate of the user's is shown to by default."""
    return False


class LazyTls:
    """The TLS contexts of a whole job, made when the first https origin is met: reading the authorities takes time.

    There are two where the user has a certificate of their own, since that is shown to some origins only
    (`shows_certificate_to`). What the user named is read at once, so that a wrong file is reported before anything is
    asked for.
    """

    def __init__(self, options: TransferOptions, shows_certificate_to: Callable[[SourceOrigin], bool] = nobody) -> None:
        self._options, self._shows_certificate_to = options, shows_certificate_to
        if options.client_cert is not None:
            _ = self._showing
        elif options.cacert is not None:
            _ = self.anonymous

    def context_for(self, origin: SourceOrigin) -> ssl.SSLContext:
        """The context for an https origin."""
        shows = self._options.client_cert is not None and self._shows_certificate_to(origin)
        return self._showing if shows else self.anonymous

    @cached_property
    def anonymous(self) -> ssl.SSLContext:
        """The one that shows nothing; UsageError when a file of authorities cannot be read."""
        return make_tls_context(replace(self._options, client_cert=None))

    @cached_property
    def _showing(self) -> ssl.SSLContext:
        return make_tls_context(self._options)


def make_tls_context(options: TransferOptions) -> ssl.SSLContext:
    """Build a TLS context of a job; UsageError when a certificate file cannot be read.

    The system's store is used (and `SSL_CERT_FILE`, as OpenSSL does); where a system has none, certifi's list is.
    """
    try:
        context = ssl.create_default_context(cafile=str(options.cacert) if options.cacert else None)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a NUL in the path
        raise UsageError(f"the authorities in `{options.cacert}` cannot be read", hint="give a PEM file") from error
    if options.cacert is None and system_store() is None:
        import certifi  # only where the system knows no authority at all

        context.load_verify_locations(certifi.where())
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client_cert is not None:
        try:
            context.load_cert_chain(str(options.client_cert))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"the client certificate `{options.client_cert}` cannot be read",
                hint="give one PEM file with the certificate and its key, not encrypted",
            ) from error
    return context


def system_store() -> tuple[str | None, str | None] | None:
    """The file and the folder of the system's authorities, as OpenSSL finds them (`SSL_CERT_FILE` and `SSL_CERT_DIR`
    included); None when it knows no authority at all."""
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    if paths.cafile is None and (folder is None or not any(folder.iterdir())):
        return None
    return paths.cafile, paths.capath
