"""What a benchmark ran on, in one line."""

from difffilter.benchmark.machine import machine, versions


def describe(*packages):
    """Processor, cores, system, and the versions of some packages."""
    about, installed = machine(), versions(*packages)
    found = [f"{package} {installed.get(package, 'not installed')}" for package in packages]
    return f"{about['processor']}, {about['cores']} cores, {about['system']}, {', '.join(found)}"
