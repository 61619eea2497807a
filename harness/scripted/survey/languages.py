"""In which language a file is written, by its name alone."""

_SUFFIXES = {
    "C": "c h",
    "C#": "cs",
    "C++": "cc cpp cxx hpp hh",
    "CMake": "cmake",
    "CSS": "css scss less",
    "CSV": "csv",
    "Clojure": "clj",
    "Dart": "dart",
    "Elixir": "ex exs",
    "Erlang": "erl",
    "Go": "go",
    "GraphQL": "graphql",
    "HTML": "html htm",
    "Haskell": "hs",
    "INI": "ini cfg",
    "JSON": "json jsonl ndjson",
    "Java": "java",
    "JavaScript": "js mjs cjs jsx",
    "Jinja": "j2",
    "Julia": "jl",
    "Kotlin": "kt",
    "Lua": "lua",
    "Make": "mk",
    "Markdown": "md",
    "Nix": "nix",
    "OCaml": "ml",
    "PHP": "php",
    "Perl": "pl pm",
    "PowerShell": "ps1",
    "Protobuf": "proto",
    "Python": "py pyi",
    "R": "r",
    "Ruby": "rb",
    "Rust": "rs",
    "SQL": "sql",
    "Scala": "scala",
    "Shell": "sh bash zsh fish",
    "Swift": "swift",
    "TOML": "toml",
    "TeX": "tex",
    "Terraform": "tf",
    "Text": "txt",
    "TypeScript": "ts tsx",
    "Vue": "vue",
    "XML": "xml svg",
    "YAML": "yaml yml",
    "Zig": "zig",
    "reStructuredText": "rst",
}

_NAMES = {
    "CMake": "cmakelists.txt",
    "Docker": "dockerfile containerfile",
    "Git settings": ".gitignore .gitattributes",
    "Make": "makefile gnumakefile justfile",
    "Ruby": "gemfile rakefile",
    "Text": "license readme changelog",
}

OTHER = "Other"

_BY_SUFFIX = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_BY_NAME = {name: language for language, names in _NAMES.items() for name in names.split()}


def language_of(path: str) -> str:
    """Name the language of a file; `OTHER` where its name does not tell."""
    name = path.rpartition("/")[2].lower()
    suffix = name.rpartition(".")[2] if "." in name else ""
    return _BY_NAME.get(name) or _BY_SUFFIX.get(suffix, OTHER)
