#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  const auto& words = arguments.positional();
  if (words[0].starts_with("http://") || words[0].starts_with("https://"))
    return fail(Code::kUsage, "import reads a file or standard input (-), not the address {}", quoted(words[0], 300));
  std::optional<oci::Reference> name;
  if (words.size() > 1) name = TRY(parse_tag(words[1]));
  const auto platform = TRY(platform_of(arguments));
  auto input = TRY(open_input(words[0], session.cancel));
  auto store = TRY(session.open_store());
  const auto lease = TRY(store.lease("import"));
  const auto loaded = TRY(context(image::import_any(store, lease, input.source, platform, session.cancel),
                                  "while importing {}", words[0] == "-" ? "standard input" : quoted(words[0])));
  if (name && loaded.size() != 1) {
    return std::unexpected(
        Error(Code::kInvalidArgument, fmt::format("{} holds {} images; one name can not be given to all",
                                                  words[0] == "-" ? "the archive" : quoted(words[0]), loaded.size()))
            .with_hint("'slipway load' takes them under their own names"));
  }
  for (const auto& image : loaded) {
    const auto names = name ? std::vector{*name} : image.references;
    TRY(store.set_names(session.scope, names, image.target, image.media_type, store::Durable::kYes));
    TRY(session.out.write(TRY(image_id(store, image.target, image.media_type)) + "\n"));
  }
  return 0;
}

}  // namespace

const Command& import_command() {
  static const Command command = {
      .name = "import",
      .summary = "Make an image of an archive: a saved image keeps its config, any other tar is a root file system",
      .arguments = "FILE|- [NAME[:TAG]]",
      .examples = {{"mmdebstrap bookworm | slipway import - debian:12", "a root file system"},
                   {"slipway import app.tar app:1", "a saved image (docker-archive, OCI layout) under a new name"},
                   {"slipway import rootfs.tar.zst base", "gzip and zstd are told by themselves"}},
      .options = {{.name = "platform",
                   .takes = Takes::kValue,
                   .value = "OS/ARCH",
                   .help = "what a root file system is for (default: this machine's)"}},
      .least = 1,
      .most = 2,
      .completes = Completes::kFile,
      .run = run};
  return command;
}

}  // namespace slipway::cli
