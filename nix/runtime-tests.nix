# The runtime's tests that need root, as a program: nixos-tests/runtime.nix runs it in a machine.
{ wamr-crun }:
wamr-crun.overrideAttrs {
  pname = "wamr-crun-tests";
  buildPhase = ''
    cargo test --offline --locked --package wamr-crun --test privileged --no-run \
      --message-format json > messages.json
  '';
  doCheck = false;
  installPhase = ''
    test=$(sed -n 's/.*"executable":"\([^"]*privileged-[^"]*\)".*/\1/p' messages.json)
    install -D "$test" $out/bin/wamr-crun-privileged-tests
  '';
  postInstall = "";
  meta.mainProgram = "wamr-crun-privileged-tests";
}
