#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/registry_options.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  const std::string& text = arguments.positional()[0];
  const auto reference = TRY(oci::Reference::parse(text));
  const auto platform = TRY(platform_of(arguments));
  const bool quiet = arguments.flag("quiet");
  auto reader = TRY(session.progress(arguments, "Pulling"));
  auto place = TRY(open_workplace(session, arguments, "pull"));
  show_waits(place.client, *reader);
  if (!quiet && tag_was_added(reference, text)) TRY(session.out.write("Using default tag: latest\n"));
  const auto before = TRY(place.store.find_name(session.scope, reference));
  auto pulled = place.images().pull(reference, platform, *reader, session.cancel);
  reader->finish();
  const auto image = TRY(context(std::move(pulled), "while pulling {}", reference.familiar()));
  if (!quiet) {
    const bool same = before && before->target == image.target;
    TRY(session.out.write(fmt::format("Digest: {}\nStatus: {} for {}\n", image.target.text(),
                                      same ? "Image is up to date" : "Downloaded newer image", reference.familiar())));
  }
  TRY(session.out.write(reference.canonical() + "\n"));
  return 0;
}

}  // namespace

const Command& pull_command() {
  static const Command command = {
      .name = "pull",
      .summary = "Fetch an image from a registry and unpack it",
      .arguments = "NAME[:TAG|@DIGEST]",
      .examples = {{"slipway pull debian:12", "from Docker Hub"},
                   {"slipway pull registry.example/team/app@sha256:…", "exactly this one"},
                   {"slipway pull -q 127.0.0.1:5000/app", "from a registry on loopback, by plain HTTP"}},
      .options = {{.name = "platform",
                   .takes = Takes::kValue,
                   .value = "OS/ARCH",
                   .help = "the platform to take from an image for several (default: this machine's)"},
                  kProgressOption,
                  kRegistryMirrorOption,
                  kInsecureRegistryOption,
                  {.name = "quiet", .letter = 'q', .help = "show only the name"}},
      .least = 1,
      .most = 1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
