"""The program, called in this process."""

from keras_unrolled import cli


def call(capsys, *arguments):
    """The exit code of a command, and what it wrote to standard output and standard error."""
    code = cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return code, out, err
