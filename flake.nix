{
  description = "OCI runtime for WebAssembly on WAMR, and the lab that measures it on Kubernetes";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  # Only wiring stands here; nix/ holds what it wires.
  outputs =
    { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" ];
      eachSystem = make: nixpkgs.lib.genAttrs systems (system: make (pkgsFor system));
      pkgsFor = system: nixpkgs.legacyPackages.${system};
      packagesFor = pkgs: import ./nix/packages.nix { inherit (pkgs) callPackage lib; };
    in
    {
      packages = eachSystem packagesFor;

      overlays.default = final: _: removeAttrs (packagesFor final) [ "default" ];

      apps = eachSystem (pkgs: {
        demo = {
          type = "app";
          program = nixpkgs.lib.getExe (packagesFor pkgs).wamr-demo;
          meta.description = "Ten pods each of three systems on a node of this machine; as root";
        };
      });

      checks = eachSystem (
        pkgs:
        import ./nix/checks.nix {
          inherit pkgs self;
          packages = packagesFor pkgs;
        }
      );

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/devshell.nix { packages = packagesFor pkgs; };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
