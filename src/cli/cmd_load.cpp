#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  auto input = TRY(open_input(arguments.value("input").value_or("-"), session.cancel));
  auto store = TRY(session.open_store());
  const auto lease = TRY(store.lease("load"));
  const auto loaded =
      TRY(context(image::load(store, lease, input.source, session.cancel), "while loading the archive"));
  for (const auto& image : loaded) {
    TRY(store.set_names(session.scope, image.references, image.target, image.media_type, store::Durable::kYes));
    for (const auto& name : image.references)
      TRY(session.out.write(fmt::format("Loaded image: {}\n", name.familiar())));
    if (image.references.empty()) {
      TRY(session.out.write(
          fmt::format("Loaded image ID: {}\n", TRY(image_id(store, image.target, image.media_type)))));
    }
  }
  return 0;
}

}  // namespace

const Command& load_command() {
  static const Command command = {
      .name = "load",
      .summary = "Load images from an archive of 'save' (docker-archive or OCI layout)",
      .examples = {{"slipway load -i app.tar", "from a file; gzip and zstd are told by themselves"},
                   {"docker save app:1 | slipway load", "from docker"},
                   {"skopeo copy docker://debian:12 oci-archive:d.tar && slipway load -i d.tar", "from skopeo"}},
      .options = {{.name = "input",
                   .letter = 'i',
                   .takes = Takes::kValue,
                   .value = "FILE",
                   .help = "read from a file in place of standard input",
                   .completes = Completes::kFile},
                  {.name = "quiet", .letter = 'q', .help = "accepted for docker's sake"}},
      .run = run};
  return command;
}

}  // namespace slipway::cli
