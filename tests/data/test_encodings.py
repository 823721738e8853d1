import time

import pytest

from graphmtl.data.encodings import likely_encoding

TEXTS = {
    "ru": "Фильм оказался скучным и длинным, а главный герой совсем не запомнился. Лучше посмотрите другой.",
    "uk": "Фільм виявився дуже цікавим, але кінець мене розчарував. Актори грали чудово, раджу всім його побачити.",
    "de": "Der Film war schön, aber etwas zu lang; die Größe der Bühne überzeugte. Müde Gäste äußerten Ärger.",
    "fr": "Le film était très réussi, même si l’intrigue est déjà vue ; la scène à l’hôtel m’a plu. Ça mérite.",
    "es": "La película fue muy buena, aunque el final me decepcionó. ¿Qué más añadir? El niño actuó bien. Mañana sí.",
    "zh": "这部电影非常好看，演员的表演也很出色，推荐给大家。故事情节有点拖沓，但是结局很感人。",
    "tw": "這部電影非常好看，演員的表演也很出色，推薦給大家。故事情節有點拖沓，但是結局很感人。",
    "ja": "この映画はとても面白かったです。俳優の演技も素晴らしく、もう一度見たいと思いました。",
    "ko": "이 영화는 정말 재미있었고 배우들의 연기도 훌륭했습니다. 다시 보고 싶은 작품입니다.",
    "pl": "Film był świetny, ale końcówka mnie zawiodła. Aktorzy grali bardzo dobrze, mogę polecić każdemu. Żółta.",
    "cs": "Film byl velmi dobrý, ale konec mě zklamal. Herci hráli skvěle a příběh je zajímavý. Žluťoučký kůň.",
    "hu": "A film nagyon jó volt, de a vége csalódást okozott. Őszintén szólva tűrhető, különösen a zenéje.",
    "tr": "Film çok güzeldi, oyuncular başarılıydı ama sonu beni hayal kırıklığına uğrattı. Şimdi ığdır.",
    "el": "Η ταινία ήταν πολύ καλή και οι ηθοποιοί έπαιξαν υπέροχα, αλλά το τέλος με απογοήτευσε.",
    "is": "Myndin var mjög góð en endirinn olli mér vonbrigðum. Það er þess virði að sjá hana aftur, þótt löng sé.",
    "he": "הסרט היה טוב מאוד אבל הסוף אכזב אותי",
    "ar": "كان الفيلم جيدا جدا لكن النهاية خيبت أملي",
    "th": "ภาพยนตร์เรื่องนี้ดีมากแต่ตอนจบทำให้ผิดหวัง",
}
SURE = [
    *[("ru", name) for name in ("cp1251", "koi8_r", "iso8859_5")],
    *[("uk", name) for name in ("cp1251", "koi8_u")],
    *[("de", name) for name in ("cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32")],
    *[("fr", "cp1252"), ("es", "latin-1"), ("zh", "gbk"), ("zh", "utf-16"), ("tw", "big5"), ("tw", "gb18030")],
    *[("ja", "shift_jis"), ("ja", "euc_jp"), ("ko", "euc_kr")],
]
UNSURE = [
    *[("pl", "cp1250"), ("pl", "iso8859_2"), ("cs", "cp1250"), ("hu", "cp1250"), ("tr", "cp1254"), ("el", "cp1253")],
    *[("is", "cp1252"), ("he", "cp1255"), ("ar", "cp1256"), ("th", "tis_620"), ("ru", "cp866"), ("ru", "mac_cyrillic")],
    *[("de", "mac_roman"), ("de", "cp850"), ("fr", "mac_roman"), ("ko", "johab")],
]


def encoded(language: str, encoding: str, lines: int) -> bytes:
    return (f"1\t{TEXTS[language]}\n" * lines).encode(encoding, errors="ignore")


@pytest.mark.parametrize("lines", [1, 3, 2000])
@pytest.mark.parametrize(("language", "encoding"), SURE)
def test_what_is_named_gives_the_text(language, encoding, lines):
    content = encoded(language, encoding, lines)
    name = likely_encoding(content)
    assert name is not None
    assert content.decode(name) == content.decode(encoding)


@pytest.mark.parametrize("lines", [1, 3, 2000])
@pytest.mark.parametrize(("language", "encoding"), UNSURE)
def test_nothing_is_named_that_would_garble(language, encoding, lines):
    assert likely_encoding(encoded(language, encoding, lines)) is None


@pytest.mark.parametrize("language", TEXTS)
def test_nothing_is_named_for_what_is_utf_8_or_was_but_for_a_line(language):
    utf_8 = TEXTS[language].encode() + b"\n"
    assert likely_encoding(utf_8) is None
    assert likely_encoding(utf_8 * 3 + b"caf\xe9\n" + utf_8) is None
    assert likely_encoding(b"caf\xe9\n" + utf_8 * 3) is None


@pytest.mark.parametrize(
    "content", [b"", b"a", b"caf\xe9", b"\xff", b"\xff" * 1000, bytes(range(256)) * 9, b"\0\xff\xff" * 99]
)
def test_too_little_or_no_text(content):
    assert likely_encoding(content) is None


def test_a_large_file_is_not_looked_at_as_a_whole():
    plain = b"a line of ascii alone\n" * 1_000_000
    start = time.process_time()
    assert likely_encoding(plain + encoded("ru", "cp1251", 3) + plain) == "cp1251"
    assert likely_encoding(encoded("ru", "cp1251", 200_000)) == "cp1251"
    assert time.process_time() - start < 5
