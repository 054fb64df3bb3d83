#include "formats/python_library.hpp"

#include <algorithm>
#include <utility>

namespace mq::formats {
namespace {

// Sorted, and in lines because one name per line would be a page each.
// clang-format off
constexpr std::string_view kModules[] = {
    "Queue", "StringIO", "__builtin__", "_abc", "_aix_support", "_ast", "_asyncio", "_bisect", "_blake2",
    "_bootsubprocess", "_bz2", "_codecs", "_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr",
    "_codecs_tw", "_collections", "_collections_abc", "_colorize", "_compat_pickle", "_compression", "_contextvars",
    "_crypt", "_csv", "_ctypes", "_curses", "_curses_panel", "_datetime", "_dbm", "_decimal", "_elementtree",
    "_frozen_importlib", "_frozen_importlib_external", "_functools", "_gdbm", "_hashlib", "_heapq", "_imp",
    "_interpreters", "_io", "_json", "_locale", "_lsprof", "_lzma", "_markupbase", "_md5", "_msi", "_multibytecodec",
    "_multiprocessing", "_opcode", "_operator", "_osx_support", "_overlapped", "_pickle", "_posixshmem",
    "_posixsubprocess", "_py_abc", "_pydecimal", "_pyio", "_pyrepl", "_queue", "_random", "_scproxy", "_sha1",
    "_sha256", "_sha3", "_sha512", "_signal", "_sitebuiltins", "_socket", "_sqlite3", "_sre", "_ssl", "_stat",
    "_statistics", "_string", "_strptime", "_struct", "_symtable", "_thread", "_threading_local", "_tkinter",
    "_tokenize", "_tracemalloc", "_typing", "_uuid", "_warnings", "_weakref", "_weakrefset", "_winapi", "_zoneinfo",
    "abc", "aifc", "annotationlib", "antigravity", "argparse", "array", "ast", "asynchat", "asyncio", "asyncore",
    "atexit", "audioop", "base64", "bdb", "binascii", "bisect", "builtins", "bz2", "cPickle", "cProfile", "cStringIO",
    "calendar", "cgi", "cgitb", "chunk", "cmath", "cmd", "code", "codecs", "codeop", "collections", "colorsys",
    "commands", "compileall", "compression", "concurrent", "configparser", "contextlib", "contextvars", "copy",
    "copy_reg", "copyreg", "crypt", "csv", "ctypes", "curses", "dataclasses", "datetime", "dbm", "decimal", "difflib",
    "dis", "distutils", "doctest", "dummy_thread", "email", "encodings", "ensurepip", "enum", "errno", "exceptions",
    "faulthandler", "fcntl", "filecmp", "fileinput", "fnmatch", "fractions", "ftplib", "functools", "gc",
    "genericpath", "getopt", "getpass", "gettext", "glob", "graphlib", "grp", "gzip", "hashlib", "heapq", "hmac",
    "html", "http", "httplib", "idlelib", "imaplib", "imghdr", "imp", "importlib", "inspect", "io", "ipaddress",
    "itertools", "json", "keyword", "lib2to3", "linecache", "locale", "logging", "lzma", "mailbox", "mailcap",
    "marshal", "math", "mimetypes", "mmap", "modulefinder", "msilib", "msvcrt", "multiprocessing", "netrc", "nis",
    "nntplib", "nt", "ntpath", "nturl2path", "numbers", "opcode", "operator", "optparse", "os", "os2", "ossaudiodev",
    "pathlib", "pdb", "pickle", "pickletools", "pipes", "pkgutil", "platform", "plistlib", "popen2", "poplib",
    "posix", "posixfile", "posixpath", "pprint", "profile", "pstats", "pty", "pwd", "py_compile", "pyclbr", "pydoc",
    "pydoc_data", "pyexpat", "queue", "quopri", "random", "re", "readline", "reprlib", "resource", "rlcompleter",
    "runpy", "sched", "secrets", "select", "selectors", "shelve", "shlex", "shutil", "signal", "site", "smtpd",
    "smtplib", "sndhdr", "socket", "socketserver", "spwd", "sqlite3", "sre_compile", "sre_constants", "sre_parse",
    "ssl", "stat", "statistics", "string", "stringprep", "struct", "subprocess", "sunau", "symtable", "sys",
    "sysconfig", "syslog", "tabnanny", "tarfile", "telnetlib", "tempfile", "termios", "textwrap", "this", "thread",
    "threading", "time", "timeit", "tkinter", "token", "tokenize", "tomllib", "trace", "traceback", "tracemalloc",
    "tty", "turtle", "turtledemo", "types", "typing", "unicodedata", "unittest", "urllib", "urllib2", "urlparse",
    "uu", "uuid", "venv", "warnings", "wave", "weakref", "webbrowser", "winreg", "winsound", "wsgiref", "xdrlib",
    "xml", "xmlrpc", "xmlrpclib", "zipapp", "zipfile", "zipimport", "zlib", "zoneinfo"
};
// clang-format on
static_assert(std::ranges::is_sorted(kModules));

// Sorted.
// clang-format off
constexpr std::pair<std::string_view, std::string_view> kPlainValues[] = {
    {"_codecs", "encode"}, {"_io", "BytesIO"}, {"_io", "StringIO"}, {"argparse", "Namespace"},
    {"array", "_array_reconstructor"}, {"array", "array"}, {"builtins", "bool"}, {"builtins", "bytearray"},
    {"builtins", "bytes"}, {"builtins", "complex"}, {"builtins", "dict"}, {"builtins", "float"},
    {"builtins", "frozenset"}, {"builtins", "getattr"}, {"builtins", "int"}, {"builtins", "iter"}, {"builtins", "list"},
    {"builtins", "object"}, {"builtins", "range"}, {"builtins", "set"}, {"builtins", "slice"}, {"builtins", "str"},
    {"builtins", "tuple"}, {"collections", "ChainMap"}, {"collections", "Counter"}, {"collections", "OrderedDict"},
    {"collections", "UserDict"}, {"collections", "UserList"}, {"collections", "defaultdict"},
    {"collections", "deque"}, {"copyreg", "__newobj__"}, {"copyreg", "__newobj_ex__"}, {"copyreg", "_reconstructor"},
    {"datetime", "date"}, {"datetime", "datetime"}, {"datetime", "time"}, {"datetime", "timedelta"},
    {"datetime", "timezone"}, {"decimal", "Decimal"}, {"fractions", "Fraction"}, {"functools", "partial"},
    {"io", "BytesIO"}, {"io", "StringIO"}, {"logging", "getLogger"}, {"operator", "attrgetter"},
    {"operator", "itemgetter"}, {"pathlib", "Path"}, {"pathlib", "PosixPath"}, {"pathlib", "PurePath"},
    {"pathlib", "PurePosixPath"}, {"pathlib", "PureWindowsPath"}, {"pathlib", "WindowsPath"},
    {"pathlib._local", "Path"}, {"pathlib._local", "PosixPath"}, {"pathlib._local", "PurePath"},
    {"pathlib._local", "PurePosixPath"}, {"pathlib._local", "PureWindowsPath"}, {"pathlib._local", "WindowsPath"},
    {"random", "Random"}, {"re", "_compile"}, {"time", "struct_time"}, {"types", "SimpleNamespace"},
    {"uuid", "SafeUUID"}, {"uuid", "UUID"}, {"zoneinfo", "ZoneInfo._unpickle"}
};
// clang-format on
static_assert(std::ranges::is_sorted(kPlainValues));

}  // namespace

bool is_python_library(std::string_view top_level_module) noexcept {
  return std::ranges::binary_search(kModules, top_level_module);
}

bool is_plain_value(std::string_view module, std::string_view name) noexcept {
  return std::ranges::binary_search(kPlainValues, std::pair(module, name));
}

}  // namespace mq::formats
