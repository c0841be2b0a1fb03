"""A partner whose receiver is quick: it reads the message and is content."""

from benchmarks import bare


def answer(environ: bare.Environ) -> bare.Answer:
    bare.body_of(environ)
    return "200 OK", b"{}"


application = bare.application(answer)
