#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/workplace.hpp"
#include "image/proofs.hpp"

namespace slipway::cli {
namespace {

/// A file, standard input, or the directory of an OCI layout. Input that is missing makes no store.
Result<int> run(Session& session, const Arguments& arguments) {
  const std::string path = arguments.value("input").value_or("-");
  const bool layout = path != "-" && is_directory(path);
  std::optional<Input> input;
  if (!layout) input = TRY(open_input(path, session.cancel));
  auto store = TRY(session.open_store());
  const auto lease = TRY(store.lease("load"));
  const auto loaded =
      TRY(layout ? context(image::load_layout(store, lease, path, session.cancel), "while loading the OCI layout {}",
                           quoted(path))
                 : context(image::load(store, lease, input->source, session.cancel), "while loading the archive"));
  for (const auto& image : loaded) {
    TRY(store.set_names(session.scope, image.references, image.target, image.media_type, store::Durable::kYes,
                        image::kOwnWord));
    for (const auto& name : image.references)
      TRY(session.out.write(fmt::format("Loaded image: {}\n", name.familiar())));
    if (image.references.empty()) {
      TRY(session.out.write(fmt::format("Loaded image ID: {}\n",
                                        TRY(image_id(store, image::Holder({}), image.target, image.media_type)))));
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
                   {"skopeo copy docker://debian:12 oci-archive:d.tar && slipway load -i d.tar", "from skopeo"},
                   {"slipway load -i layout", "from a directory: every image of an OCI layout"}},
      .options = {{.name = "input",
                   .letter = 'i',
                   .takes = Takes::kValue,
                   .value = "FILE",
                   .help = "read from a file, or from the directory of an OCI layout, in place of standard input",
                   .completes = Completes::kFile},
                  {.name = "quiet", .letter = 'q', .help = "accepted for docker's sake"}},
      .run = run};
  return command;
}

}  // namespace slipway::cli
