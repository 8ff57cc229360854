{
  description = "OCI runtime for WebAssembly on WAMR, and the lab that measures it on Kubernetes";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    treefmt-nix = {
      url = "github:numtide/treefmt-nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  # Only wiring stands here; nix/ holds what it wires.
  outputs =
    {
      self,
      nixpkgs,
      treefmt-nix,
    }:
    let
      inherit (nixpkgs) lib;
      lab = "x86_64-linux";
      eachSystem = lib.genAttrs [
        lab
        "aarch64-linux"
      ];
      onlyLab = lib.genAttrs [ lab ];
      pkgsFor = system: nixpkgs.legacyPackages.${system};
      tables = import ./nix/tables.nix { inherit lib; };
      modules = import ./nix/modules { inherit packagesFor tables; };
      packagesFor = pkgs: import ./nix/packages.nix { inherit modules pkgs tables; };
      formatFor = system: treefmt-nix.lib.evalModule (pkgsFor system) ./nix/treefmt.nix;
      node =
        profile:
        import ./nix/node.nix {
          inherit
            modules
            nixpkgs
            profile
            tables
            ;
          system = lab;
        };
    in
    {
      packages = eachSystem (
        system:
        (packagesFor (pkgsFor system)).forFlake
        // lib.optionalAttrs (system == lab) {
          node-vm = self.nixosConfigurations.node-small.config.system.build.vm;
          node-image = self.nixosConfigurations.node-disk.config.system.build.images.qemu;
        }
      );

      # By name: which names there are must not depend on the package set that they go into.
      overlays.default = final: _: {
        inherit (packagesFor final)
          wamr-compile
          wamr-crun
          wamr-lab
          wamr-report
          ;
      };

      nixosModules = modules;

      # One for each row of vm-images/vm/profiles.toml, and one for a disk.
      nixosConfigurations =
        lib.mapAttrs' (name: _: lib.nameValuePair "node-${name}" (node name)) tables.profiles
        // {
          node-disk = node null;
        };

      apps = onlyLab (
        system:
        import ./nix/apps.nix {
          inherit lib;
          packages = self.packages.${system};
        }
      );

      checks = onlyLab (
        system:
        import ./nix/checks.nix {
          inherit modules self;
          format = formatFor system;
          packages = self.packages.${system};
          pkgs = pkgsFor system;
        }
      );

      devShells = onlyLab (system: {
        default = (pkgsFor system).callPackage ./nix/devshell.nix {
          packages = self.packages.${system};
        };
      });

      formatter = eachSystem (system: (formatFor system).config.build.wrapper);
    };
}
