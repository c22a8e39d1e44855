#include "base/time.hpp"
#include "cli/commands.hpp"
#include "cli/image_inspection.hpp"
#include "cli/workplace.hpp"

namespace slipway::cli {
namespace {

/// Plain bytes of every layer where they are known, else the bytes of its blob.
Result<std::vector<std::int64_t>> layer_sizes(const store::Store& store, const image::Details& details) {
  std::vector<std::int64_t> sizes;
  const auto& layers = details.manifest.layers();
  const auto& diffs = details.config.view().diff_ids;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    std::int64_t size = layers[i].size;
    if (i < diffs.size())
      if (const auto known = TRY(store.layer_blobs(diffs[i])); !known.empty()) size = known[0].tree_bytes;
    sizes.push_back(size);
  }
  return sizes;
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto platform = TRY(wanted_platform(arguments));
  auto store = TRY(session.open_store());
  const auto found = TRY(image::find(store, session.scope, arguments.positional()[0]));
  const auto details = TRY(image::details(store, found.holder, found.target, found.media_type, platform));
  const auto rows = history_rows(details, TRY(layer_sizes(store, details)), now().seconds,
                                 arguments.flag("no-trunc") ? Truncate::kNo : Truncate::kYes,
                                 arguments.flag("human", true) ? Human::kYes : Human::kNo);
  auto format = arguments.value("format");
  if (arguments.flag("quiet") && !format) format = "{{.ID}}";
  TRY(session.out.write(TRY(render_rows(history_table(), format, rows))));
  return 0;
}

}  // namespace

const Command& history_command() {
  static const Command command = {
      .name = "history",
      .summary = "Show the steps that made an image",
      .arguments = "IMAGE",
      .examples = {{"slipway history app:1", "newest first"},
                   {"slipway history --no-trunc app:1", "whole commands"},
                   {"slipway history --format '{{.Size}}\\t{{.CreatedBy}}' app:1", "for a script"}},
      .options = {{.name = "format",
                   .takes = Takes::kValue,
                   .value = "FORMAT",
                   .help = "table, 'table TEMPLATE', json (an object per line) or a Go template"},
                  {.name = "human", .letter = 'H', .help = "sizes and dates for people (the default; =false: exact)"},
                  {.name = "no-trunc", .help = "show whole texts and ids"},
                  {.name = "platform",
                   .takes = Takes::kValue,
                   .value = "OS/ARCH",
                   .help = "the platform to show of an image for several (default: this machine's)"},
                  {.name = "quiet", .letter = 'q', .help = "show only ids"}},
      .least = 1,
      .most = 1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
