# The analysis: run directories in, statistics, figures and reports out.
{ rustPlatform, source }:
rustPlatform.buildRustPackage {
  pname = "wamr-report";
  inherit (source) version src cargoLock;
  __structuredAttrs = true;
  strictDeps = true;

  cargoBuildFlags = [ "--package=wamr-report" ];
  cargoTestFlags = [ "--package=wamr-report" ];

  meta = source.meta // {
    description = "Turns run directories of wamr-lab into statistics, figures and reports";
    mainProgram = "wamr-report";
  };
}
