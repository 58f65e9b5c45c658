"""The book of tokens."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

from tests.testbed.standins.tokens import TokenBook

from .conftest import Clock


def test_a_token_opens_until_the_moment_of_its_expiry(book: TokenBook, clock: Clock) -> None:
    token = book.issue()
    assert token.expires_at - token.issued_at == 43200.0
    assert book.check("AWS", token.password) == "ok"
    clock.now = token.expires_at - 0.001
    assert book.check("AWS", token.password) == "ok"
    clock.now = token.expires_at
    assert book.check("AWS", token.password) == "expired"


def test_an_authorization_token_is_the_login_in_base64(book: TokenBook) -> None:
    token = book.issue()
    assert base64.b64decode(token.authorization_token).decode() == f"AWS:{token.password}"
    assert len(token.password) == 2500


def test_tokens_of_many_threads_are_all_different(book: TokenBook) -> None:
    with ThreadPoolExecutor(8) as threads:
        issued = list(threads.map(lambda _: book.issue().password, range(200)))
    assert len(set(issued)) == 200
    assert {token.password for token in book.all_issued()} == set(issued)


def test_a_foreign_token_and_a_foreign_user_name_are_unknown(book: TokenBook) -> None:
    assert book.check("AWS", "guessed") == "unknown"
    assert book.check("aws", book.issue().password) == "unknown"


def test_revoked_tokens_are_unknown_but_remembered(book: TokenBook) -> None:
    token = book.issue("publisher")
    book.revoke_all()
    assert book.check("AWS", token.password) == "unknown"
    assert book.all_issued() == [token]
    assert book.principal_of(token.password) == "publisher"
    assert book.principal_of("guessed") is None
    assert book.check("AWS", book.issue().password) == "ok"


def test_the_life_changes_for_the_tokens_to_come(book: TokenBook) -> None:
    before = book.issue()
    book.life_s = 3.0
    after, own = book.issue(), book.issue(life_s=7.0)
    assert [token.expires_at - token.issued_at for token in (before, after, own)] == [43200.0, 3.0, 7.0]


def test_a_token_does_not_show_in_its_repr(book: TokenBook) -> None:
    token = book.issue()
    assert token.password not in repr(token)
    assert token.authorization_token not in repr(token)
