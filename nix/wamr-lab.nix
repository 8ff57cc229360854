# The lab: brings up nodes, makes pods, records what they cost.
{ rustPlatform, source }:
rustPlatform.buildRustPackage {
  pname = "wamr-lab";
  inherit (source) version src cargoLock;
  __structuredAttrs = true;
  strictDeps = true;

  cargoBuildFlags = [ "--package=wamr-lab" ];
  cargoTestFlags = [
    "--package=wamr-image"
    "--package=wamr-lab"
    "--package=wamr-node"
    "--package=wamr-record"
    "--lib"
    "--bins"
  ];

  meta = source.meta // {
    description = "Sweeps Wasm and native pods over a Kubernetes node and records their cost";
    mainProgram = "wamr-lab";
  };
}
