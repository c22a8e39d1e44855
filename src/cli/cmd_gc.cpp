#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<int> run(Session& session, const Arguments& arguments) {
  store::GcOptions options;
  options.all = arguments.flag("all");
  if (const auto size = arguments.value("max-size")) {
    auto bytes = parse_human_size(*size);
    if (!bytes) return std::unexpected(std::move(bytes).error().with_code(Code::kUsage));
    options.max_size = *bytes;
  }
  auto store = TRY(session.open_store());
  const auto report = TRY(context(store.gc(options, session.cancel), "while collecting garbage"));
  const std::string mirrored =
      report.removed_mirrored > 0 ? fmt::format(", {} mirrored images", report.removed_mirrored) : "";
  TRY(session.out.write(fmt::format("Removed {} blobs, {} snapshots, {} build records{}\nTotal reclaimed space: {}\n",
                                    report.removed_blobs, report.removed_snapshots, report.removed_records, mirrored,
                                    human_size(report.freed_bytes))));
  if (options.max_size) {
    const auto usage = TRY(store.usage());
    const std::int64_t held = usage.blob_bytes + usage.snapshot_bytes + usage.cache_bytes;
    if (held > *options.max_size)
      return std::unexpected(
          Error(Code::kResourceExhausted,
                fmt::format("the store still holds {}, more than {}: images, pushed repositories and running commands "
                            "use it",
                            human_size(held), human_size(*options.max_size)))
              .with_hint("remove images (slipway rmi; untagged ones too) or what was pushed (slipway registry rm), and "
                         "run it again"));
  }
  return 0;
}

}  // namespace

const Command& gc_command() {
  static const Command command = {
      .name = "gc",
      .summary = "Free what no image, no build result and no running command needs",
      .examples = {{"slipway gc", "remove garbage"},
                   {"slipway gc --max-size 20GB", "also the least recently used build results and mirrored images"},
                   {"slipway gc --all", "also all of these"}},
      .options = {{.name = "all",
                   .letter = 'a',
                   .help = "also remove all build results that nothing uses, and all that mirrors have"},
                  {.name = "max-size",
                   .takes = Takes::kValue,
                   .value = "SIZE",
                   .help =
                       "remove the least recently used build results and mirrored images until the store is not larger "
                       "(20GB, 512MB)"}},
      .run = run};
  return command;
}

}  // namespace slipway::cli
