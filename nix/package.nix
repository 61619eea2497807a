# Queenpost as a Nix package, built from this tree.
#
# Written where no copy of nixpkgs was at hand: it is parsed by `make check`, but was not built. If nixpkgs lags
# behind the bounds in pyproject.toml, `pythonRelaxDeps` lets the build go on; the program then runs on versions
# that the tests have not seen.
{ lib, python3Packages }:

python3Packages.buildPythonApplication {
  pname = "queenpost";
  version = "0.1.0";
  pyproject = true;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../LICENSE
      ../README.md
      ../broker
      ../console
      ../harness
      ../mcp_tools
      ../node
      ../prompts
      ../pyproject.toml
      ../wire
    ];
  };

  build-system = [ python3Packages.setuptools ];

  dependencies = with python3Packages; [
    aiosqlite
    amqtt
    anyio
    click
    cronsim
    httpx2
    jinja2
    mcp
    paho-mqtt
    pydantic
    pyte
    pyyaml
    starlette
    tzdata
    uvicorn
    websockets
  ];

  pythonRelaxDeps = true;

  # The root packages have plain names, so each is imported once to see that it is ours.
  pythonImportsCheck = [ "broker" "console.cli" "harness" "mcp_tools" "node" "prompts" "wire" ];

  # The tests run from the checkout, by `make check`.
  doCheck = false;

  meta = {
    description = "A durable post office and turn-loop harness for fleets of LLM agents";
    license = lib.licenses.mit;
    mainProgram = "queenpost";
    platforms = lib.platforms.unix;
  };
}
