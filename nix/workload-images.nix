# The images of vm-images/workloads/workloads.toml as OCI archives, and beside each what wamr-lab
# wants to know of it (`WorkloadImage` in lab/image/src/lib.rs).
{
  dockerTools,
  glibc,
  jq,
  lib,
  linkFarm,
  pkgsCross,
  python313,
  runCommand,
  runCommandCC,
  skopeo,
  tables,
}:
let
  sources = ../vm-images/workloads;
  # As in lab/image/src/workloads.rs.
  flags = "-Os -Wall -Wextra -Werror -s";
  root = {
    native =
      name: row:
      runCommandCC "${name}-root" { buildInputs = [ glibc.static ]; } ''
        mkdir -p $out
        $CC -static -Wl,--build-id=none ${flags} -o $out${row.program} ${sources}/${row.source}
      '';
    wasm =
      name: row:
      pkgsCross.wasi32.runCommandCC "${name}-root" { hardeningDisable = [ "all" ]; } ''
        mkdir -p $out
        $CC -mcpu=mvp ${flags} -o $out${row.program} ${sources}/${row.source}
      '';
    python =
      name: row:
      runCommand "${name}-root" { } ''
        mkdir -p $out/usr/bin
        ln -s ${python313}/bin/python3.13 $out${row.program}
        cp ${sources}/${row.source} $out/${row.source}
      '';
  };
  image =
    name: row:
    let
      content = root.${row.build} name row;
      reference = "localhost/wamr-lab/${name}:1";
      layered = dockerTools.buildLayeredImage {
        name = "localhost/wamr-lab/${name}";
        tag = "1";
        contents = [ content ];
        config.Entrypoint = row.entrypoint;
        compressor = "none";
      };
    in
    runCommand "image-${name}"
      {
        nativeBuildInputs = [
          jq
          skopeo
        ];
        meta.description = row.title;
      }
      ''
        skopeo --insecure-policy --tmpdir "$TMPDIR" copy docker-archive:${layered} oci:layout:1
        digest=$(jq --raw-output '.manifests[0].digest' layout/index.json)
        jq --arg name ${reference} '.manifests[0].annotations = {
            "io.containerd.image.name": $name, "org.opencontainers.image.ref.name": "1"
          }' layout/index.json > index.json
        mv index.json layout/index.json
        mkdir $out
        tar --create --file $out/image.tar --sort=name --mtime=@1 --owner=0 --group=0 \
          --numeric-owner --directory layout .
        sha256=$(sha256sum ${content}${row.program} | cut --delimiter=' ' --fields=1)
        jq --null-input --arg archive $out/image.tar --arg digest "$digest" --arg sha256 "$sha256" \
          '{ "${name}": {
            archive: $archive, reference: "${reference}", manifest_digest: $digest,
            program: { path: "${row.program}", sha256: $sha256 }
          } }' > $out/row.json
      '';
  images = lib.mapAttrs image tables.workloads;
in
(linkFarm "wamr-workload-images" images).overrideAttrs { passthru = images; }
