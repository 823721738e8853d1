"""Which encoding a file that is no UTF-8 probably has: named where the letters leave little doubt, else not at all.

A wrong encoding seldom fails, it garbles. So a file must speak for an encoding by what its letters are: the accented
ones of one Western language, the frequent ones of Russian or Ukrainian, kana, Hangul, or the frequent characters of
Chinese.
"""

import codecs
import re
from collections.abc import Callable

__all__ = ["likely_encoding"]

_WINDOW = 1 << 20  # bytes around the first one that is no UTF-8
_SAMPLE = 1 << 16  # bytes of lines that are looked at
_LEAST = 8  # characters that are not ASCII
_MARKS = {  # UTF-32's begins with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SIGNS = set("“”„‘’«»–—…€°§\xa0")
_WESTERN = [  # what each language has besides ASCII; Polish or Turkish read as Western is a subset of none
    set(letters) | set(letters.upper()) | _SIGNS
    for letters in ("äöüß", "éèêëàâçîïôûùœ", "áéíóúñü¿¡", "áâãàçéêíóôõú", "àèéìòù", "åäöé", "æøåé", "éëïóèüö")
]
_CYRILLIC = set("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ")
_FREQUENT_CYRILLIC = set("оеаинтсрвлі")
_FREQUENT_KOREAN = set("이다는을에의가고를은도지로하한서기")
_FREQUENT_CHINESE = set(
    "的一是不了在人有我他这這为為大来來以个個中上们們到说說国國和地也子时時道出要于於就下得可你年很"
)


def likely_encoding(content: bytes) -> str | None:
    """The encoding that a file which is no UTF-8 probably has, by a name that Python knows.

    A bounded part of the file is looked at, from the first byte on that is no UTF-8.

    Args:
        content: the file.

    Returns:
        None where there is not enough to tell, or where the file is UTF-8 but for some lines.

    >>> likely_encoding("Der schönste Film für müde Gäste, größer und süßer".encode("cp1252"))
    'cp1252'
    >>> likely_encoding(b"caf\\xe9") is None
    True
    """
    mark = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    if mark is not None:
        return mark
    try:
        content.decode("utf-8")
        return None
    except UnicodeDecodeError as error:
        fault = error.start
    start = content.rfind(b"\n", max(0, fault - _SAMPLE), fault) + 1 or max(0, fault - _SAMPLE)
    if not content[max(0, start - _WINDOW) : start].isascii():
        return None
    lines = _lines_that_are_not_ascii(content, start)
    if any(map(_is_utf_8, lines[1:])) and sum(map(_is_utf_8, lines)) > len(lines) / 10:
        return None
    sample = b"\n".join(lines)
    if b"\0" in sample:
        return _utf_16_without_a_mark(content[:_SAMPLE])
    found = [name for name, speaks_for in _CANDIDATES.items() if _speaks_for(sample, name, speaks_for)]
    return found[0] if len({sample.decode(name) for name in found}) == 1 else None


def _utf_16_without_a_mark(start: bytes) -> str | None:
    """Of text most of which is ASCII: every other byte is 0."""
    even, odd = (start[i::2].count(0) / max(len(start) // 2, 1) for i in (0, 1))
    if max(even, odd) < 0.5 or min(even, odd) > 0.05:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _lines_that_are_not_ascii(content: bytes, start: int) -> list[bytes]:
    """Some whole lines, so that no character is cut."""
    lines = content[start : start + _WINDOW].split(b"\n")
    whole = lines[:-1] if start + _WINDOW < len(content) and len(lines) > 1 else lines
    sample: list[bytes] = []
    size = 0
    for line in whole:
        if line.isascii():
            continue
        size += len(line)
        if sample and size > _SAMPLE:
            break
        sample.append(line)
    return sample


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _speaks_for(sample: bytes, encoding: str, speaks_for: Callable[[str, str], bool]) -> bool:
    """Whether the sample can be decoded, and its characters are what a language has."""
    try:
        text = sample.decode(encoding)
    except UnicodeDecodeError:
        return False
    others = re.sub(r"[\x00-\x7f]", "", text)
    return len(others) >= _LEAST and speaks_for(others, text)


def _share(text: str, wanted: Callable[[str], bool]) -> float:
    return sum(map(wanted, text)) / len(text)


def _is_western(others: str, text: str) -> bool:
    """Letters of one language, few beside those of ASCII, and most of them lower case."""
    letters = [each for each in others if each.isalpha()]
    plain = sum(each.isascii() and each.isalpha() for each in text)
    if not letters or len(letters) > plain / 4 or sum(each.islower() for each in letters) < len(letters) / 2:
        return False
    return any(set(others) <= alphabet for alphabet in _WESTERN)


def _is_cyrillic(others: str, text: str) -> bool:
    """Russian and its kin, mostly lower case, as other Cyrillic encodings taken for this one are not."""
    latin = sum(each.isascii() and each.isalpha() for each in text)
    return (
        latin < len(others)
        and all(each.lower() in _CYRILLIC or each in _SIGNS or each == "№" for each in others)
        and _share(others, str.islower) > 0.7
        and _share(others, lambda each: each in _FREQUENT_CYRILLIC) > 0.55
        and len(re.findall("[а-яё][А-ЯЁ]", text)) < len(others) / 100
    )


def _is_chinese(others: str, text: str) -> bool:
    return (
        _share(others, lambda each: "\u4e00" <= each <= "\u9fff" or each in "，。！？、：；（）《》“”‘’—…·　") > 0.95
        and _share(others, lambda each: each in _FREQUENT_CHINESE) > 0.08
    )


def _is_japanese(others: str, text: str) -> bool:
    return (
        _share(others, lambda each: "\u3041" <= each <= "\u3096") > 0.25
        and _share(others, lambda each: "\u3000" <= each <= "\u30ff" or "\u4e00" <= each <= "\u9fff" or each > "\uff00")
        > 0.95
    )


def _is_korean(others: str, text: str) -> bool:
    return (
        _share(others, lambda each: "\uac00" <= each <= "\ud7a3") > 0.9
        and _share(others, lambda each: each in _FREQUENT_KOREAN) > 0.1
    )


_CANDIDATES: dict[str, Callable[[str, str], bool]] = {
    "cp1252": _is_western,  # of the same letters as latin-1, and with quotation marks
    **dict.fromkeys(("cp1251", "koi8_r", "koi8_u", "iso8859_5"), _is_cyrillic),
    **dict.fromkeys(("gb18030", "big5"), _is_chinese),
    **dict.fromkeys(("cp932", "euc_jp"), _is_japanese),
    "cp949": _is_korean,
}
