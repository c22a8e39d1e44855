#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"

namespace slipway::cli {
namespace {

Value row(const char* type, std::int64_t total, std::int64_t active, std::int64_t size, std::int64_t reclaimable) {
  std::string free = human_size(reclaimable);
  if (size > 0) free += fmt::format(" ({}%)", reclaimable * 100 / size);
  return Value::Object{{"Active", std::to_string(active)},
                       {"Reclaimable", std::move(free)},
                       {"Size", human_size(size)},
                       {"TotalCount", std::to_string(total)},
                       {"Type", type}};
}

TableShape shape() {
  return {{{"Active", "ACTIVE"},
           {"Reclaimable", "RECLAIMABLE"},
           {"Size", "SIZE"},
           {"TotalCount", "TOTAL"},
           {"Type", "TYPE"}},
          "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"};
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto store = TRY(session.open_store());
  const auto usage = TRY(store.usage());
  // meta.db is mostly records of builds. Blobs and unpacked snapshots are shared between images, build results and
  // repositories: only their sum can be called reclaimable. What a repository shares with an image is in both lines.
  const std::int64_t all = usage.blob_bytes + usage.snapshot_bytes + usage.cache_bytes + usage.meta_bytes;
  const std::vector<Value> rows = {
      row("Images", usage.name_count, usage.name_count, usage.blob_bytes - usage.only_linked_bytes, 0),
      row("Snapshots", usage.snapshot_count, 0, usage.snapshot_bytes, 0),
      row("Build Cache", usage.record_count + usage.cache_count, 0, usage.cache_bytes + usage.meta_bytes, 0),
      row("Repositories", usage.pushed_count, usage.pushed_count, usage.pushed_bytes, 0),
      row("Mirrored", usage.mirrored_count, 0, usage.mirrored_bytes, 0),
      row("Total", usage.blob_count + usage.snapshot_count + usage.cache_count, 0, all, usage.reclaimable_bytes)};
  TRY(session.out.write(TRY(render_rows(shape(), arguments.value("format"), rows))));
  return 0;
}

}  // namespace

const Command& df_command() {
  static const Command command = {
      .name = "df",
      .summary = "Show what the store holds and what gc would free",
      .examples = {{"slipway df", "as 'docker system df' shows it; repositories are those of 'slipway registry'"},
                   {"slipway df --format json", "an object per line"},
                   {"slipway df --format '{{.Type}} {{.Size}}'", "for a script"}},
      .options = {{.name = "format",
                   .takes = Takes::kValue,
                   .value = "FORMAT",
                   .help = "table, 'table TEMPLATE', json (an object per line) or a Go template"}},
      .run = run};
  return command;
}

}  // namespace slipway::cli
