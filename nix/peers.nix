# The peers of vm-images/peers/peers.toml, a package for each table, and crun with WasmEdge, which
# Debian has and nixpkgs has not. A package has the files that its table promises.
{
  cmake,
  crun,
  dbus,
  elfutils,
  lib,
  libseccomp,
  pkg-config,
  protobuf,
  rustPlatform,
  simde,
  stdenv,
  tables,
  wasmedge,
  youki,
}:
let
  workspace = ../vm-images/peers;
  lockFile = workspace + "/Cargo.lock";
  pinned = (lib.importTOML lockFile).package;
  # Where cargo's crates lie, unpacked, in the versions of the lock file.
  vendored = rustPlatform.importCargoLock { inherit lockFile; };
  crateFolder =
    name:
    let
      entry = lib.findFirst (entry: entry.name == name) (throw "${lockFile} has no ${name}") pinned;
    in
    "${vendored}/${name}-${entry.version}";
  meta = row: {
    description = row.title;
    platforms = [ "x86_64-linux" ];
  };
  promised = row: lib.concatMapStringsSep "\n" (file: "test -e $out/${file}") row.files;

  build = {
    workspace =
      name: row:
      rustPlatform.buildRustPackage {
        pname = "wamr-peer-${name}";
        version = "0.1.0";
        src = workspace;
        cargoLock = { inherit lockFile; };
        doCheck = false;
        nativeBuildInputs = [
          cmake
          pkg-config
          protobuf
          rustPlatform.bindgenHook
        ];
        dontUseCmakeConfigure = true;
        buildInputs = [
          dbus
          elfutils
          libseccomp
        ];
        # The headers for whoever is built with the libraries.
        postInstall = ''
          mkdir -p $out/include/wasmtime $out/include/wasmer
          cp -r ${crateFolder "wasmtime-c-api-impl"}/include/. $out/include/wasmtime
          chmod -R u+w $out/include/wasmtime
          cp ${workspace}/wasmtime-conf.h $out/include/wasmtime/wasmtime/conf.h
          cp ${crateFolder "wasmer-c-api"}/wasm.h $out/include/wasmer
          find target -path '*/out/wasmer.h' -exec cp {} $out/include/wasmer ';' -quit
          test -e $out/include/wasmer/wasmer.h
          ${promised row}
        '';
        meta = meta row;
      };

    cmake =
      name: row:
      stdenv.mkDerivation {
        pname = "wamr-peer-${name}";
        version = (lib.findFirst (entry: entry.name == row.crate) null pinned).version;
        src = "${crateFolder row.crate}/${row.folder}";
        nativeBuildInputs = [ cmake ];
        # SIMDe comes from nixpkgs where the table has Debian's folder.
        cmakeFlags = map (lib.replaceStrings
          [ "=/usr/include" ]
          [ "=${lib.getDev simde}/include" ]
        ) row.options;
        postInstall = ''
          mkdir -p $out/include/wamr
          cp -r $src/${row.headers}/. $out/include/wamr
          ${promised row}
        '';
        meta = meta row;
      };

    crun =
      name: row:
      crunWith {
        inherit name row;
        inherit (row) engine;
        needs = map (need: peers.${need}) row.needs;
        libraries = row.libraries or [ ];
      };

    # nixpkgs' youki: the crate's own lock file has no hash that could be written down here.
    crate =
      _: row:
      assert row.crate == "youki";
      lib.warnIf (youki.version != row.version)
        "youki: nixpkgs has ${youki.version}, vm-images/peers/peers.toml names ${row.version}"
        youki.overrideAttrs
        (old: {
          cargoBuildFlags = (old.cargoBuildFlags or [ ]) ++ [
            "--features"
            (lib.concatStringsSep "," row.features)
          ];
          doCheck = false;
          postInstall = (old.postInstall or "") + ''
            for file in ${lib.concatStringsSep " " row.files}; do
              test -e $out/$file || mv $out/bin/${row.program} $out/$file
            done
          '';
          meta =
            (old.meta or { })
            // meta row
            # One program each.
            // {
              mainProgram = baseNameOf (lib.head row.files);
            };
        });
  };

  # What nixpkgs would build in, as far as its recipe has arguments for it, is left out.
  engineless = crun.override (
    builtins.intersectAttrs (lib.functionArgs crun.override) {
      withLibkrun = false;
      withLibkrunSEV = false;
      withWamr = false;
      withWasmedge = false;
      withWasmer = false;
      withWasmtime = false;
    }
  );

  # crun takes the first engine that it was built with, so each gets a crun of its own. The engine
  # is opened at run time: only the path that the program is given last survives nixpkgs' fixup.
  crunWith =
    {
      engine,
      libraries,
      name,
      needs,
      row,
    }:
    # Debian's release, which the lab has measured.
    assert lib.assertMsg (lib.versionAtLeast crun.version "1.21") "${name}: crun ${crun.version}";
    engineless.overrideAttrs (old: {
      pname = name;
      configureFlags = (old.configureFlags or [ ]) ++ [ "--with-${engine}" ];
      buildInputs = (old.buildInputs or [ ]) ++ needs;
      env = (old.env or { }) // {
        CPPFLAGS = lib.concatMapStringsSep " " (need: "-I${need}/include/${engine}") needs;
        LIBS = lib.concatMapStringsSep " " (library: "-l${library}") libraries;
      };
      doCheck = false;
      postInstall = (old.postInstall or "") + ''
        mv $out/bin/crun $out/bin/${name}
        # crun-wasm and krun, which would now lead nowhere.
        find $out/bin -type l -delete
      '';
      postFixup = (old.postFixup or "") + ''
        patchelf --add-rpath ${lib.makeLibraryPath needs} $out/bin/${name}
        engines=$($out/bin/${name} --version | grep --only-matching '+WASM:[a-z]*')
        test "$engines" = +WASM:${engine}
        ${promised row}
      '';
      meta = (old.meta or { }) // meta row // { mainProgram = name; };
    });

  peers = lib.mapAttrs (name: row: build.${row.build} name row) tables.peers;
in
peers
// {
  crun-wasmedge = crunWith {
    name = "crun-wasmedge";
    engine = "wasmedge";
    libraries = [ ];
    needs = [ wasmedge ];
    row = {
      title = "crun with WasmEdge";
      files = [ "bin/crun-wasmedge" ];
    };
  };
}
