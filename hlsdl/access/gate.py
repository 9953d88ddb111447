"""The gate: whether a URL may be asked for at all. Every URL and every hop of a redirect passes it.

Pure; `transfer.exchange` obeys it at every hop, `transfer.resolving` at every connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hlsdl.access.addresses import AddressKind, kind_of, kind_of_name, kind_of_text, literal_address
from hlsdl.access.limits import Limits
from hlsdl.access.urls import CheckedUrl, is_file_url, join_location, read_url
from hlsdl.errors import PolicyError

_NEVER = frozenset(
    {
        AddressKind.LINK_LOCAL,
        AddressKind.METADATA,
        AddressKind.MULTICAST,
        AddressKind.UNSPECIFIED,
        AddressKind.RESERVED,
    }
)
_ALLOWED_BY_FLAG = frozenset({AddressKind.LOOPBACK, AddressKind.PRIVATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """Where we may go: one gate for every URL, redirect targets included.

    A private, loopback or LAN address is allowed on the host names that the user typed, and with `allow_private` (which
    adds loopback, RFC 1918 and ULA). Link-local, metadata, multicast, unspecified and reserved addresses never are.
    """

    typed_hosts: frozenset[str] = frozenset()
    typed_http: bool = False
    """The user typed an `http:` URL, so a redirect from https to http takes nothing away."""
    allow_private: bool = False
    require_https: bool = False
    allow_downgrade: bool = False
    """`--insecure`: redirects from https to http are followed."""
    longest_url: int = field(default=Limits().url)

    @classmethod
    def for_typed(
        cls, urls: Iterable[str], *, allow_private: bool = False, require_https: bool = False, insecure: bool = False
    ) -> UrlPolicy:
        """The policy of a job whose source (and base) URLs were typed by the user; `file:` URLs add no host."""
        typed = [read_url(url) for url in urls if not is_file_url(url)]
        return cls(
            typed_hosts=frozenset(url.host for url in typed),
            typed_http=any(url.scheme == "http" for url in typed),
            allow_private=allow_private,
            require_https=require_https,
            allow_downgrade=insecure,
        )

    def check_url(self, url: str) -> CheckedUrl:
        """Read `url` and refuse what can be refused without a resolver; PolicyError or LimitError."""
        checked = read_url(url, longest=self.longest_url)
        if self.require_https and checked.scheme != "https":
            raise PolicyError("an `http:` URL was refused, since --require-https is set", url=checked.text)
        address = literal_address(checked.host)
        kind = kind_of(address) if address is not None else kind_of_name(checked.host)
        if kind is not None and not self.allows(kind, checked.host):
            raise self.refusal(kind, checked.text)
        return checked

    def check_redirect(self, previous: CheckedUrl, location: str) -> CheckedUrl:
        """Resolve and check a redirect's target; a downgrade to http needs a typed http URL or --insecure."""
        checked = self.check_url(join_location(previous, location))
        downgrade = previous.scheme == "https" and checked.scheme == "http"
        if downgrade and not (self.typed_http or self.allow_downgrade):
            raise PolicyError(
                "the server redirects from https to http",
                url=checked.text,
                hint="--insecure follows such redirects; what is fetched can then be read and changed on the way",
            )
        return checked

    def allows(self, kind: AddressKind, host: str, *, known_public: bool = False) -> bool:
        """Whether an address of `kind` may be used for `host`.

        `known_public`: the host had a public address before in this job. A typed name that moves from a public to a
        private address is DNS rebinding, not a LAN server.
        """
        if kind is AddressKind.GLOBAL:
            return True
        if kind in _NEVER:
            return False
        typed = host in self.typed_hosts and not known_public
        return typed or (self.allow_private and kind in _ALLOWED_BY_FLAG)

    def permitted(self, host: str, addresses: Sequence[str], *, known_public: bool = False) -> tuple[str, ...]:
        """Those of the resolved `addresses` that may be connected to; PolicyError when there are none.

        A typed name that resolves to public and private addresses at once keeps only the public ones.
        """
        kinds = {address: kind_of_text(address) for address in addresses}
        known_public = known_public or AddressKind.GLOBAL in kinds.values()
        allowed = tuple(a for a in addresses if self.allows(kinds[a], host, known_public=known_public))
        if not allowed:
            raise self.refusal(next(iter(kinds.values())), f"//{host}/")
        return allowed

    def refusal(self, kind: AddressKind, url: str) -> PolicyError:
        """The error for a host that is a place of `kind`."""
        if kind in _NEVER:
            return PolicyError(f"a URL leads to an address that is never asked ({kind})", url=url)
        hint = "--allow-private allows loopback and private addresses for this job"
        return PolicyError(
            f"a URL leads to an address on a host that was not typed ({kind})",
            url=url,
            hint=hint if kind in _ALLOWED_BY_FLAG else None,
        )
