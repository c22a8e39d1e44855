#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"
#include "cli/image_list.hpp"
#include "cli/session.hpp"
#include "image/image.hpp"

namespace slipway::cli {
namespace {

ListedImage listed(Session& session, store::Store& store, const store::Name& name) {
  ListedImage image;
  if (!name.reference.empty())
    if (auto reference = oci::Reference::parse(name.reference)) image.reference = std::move(*reference);
  image.digest = image.id = name.target.text();
  std::vector<oci::Reference> names;
  if (image.reference) names.push_back(*image.reference);
  const auto details =
      image::details(store, image::Holder(std::move(names)), name.target, name.media_type, std::nullopt);
  if (!details) {  // one broken image must not hide the others
    session.say(fmt::format("WARNING: {} can not be read: {}; 'slipway fsck' tells more\n",
                            name.reference.empty() ? image.digest : printable(name.reference),
                            details.error().message()));
    return image;
  }
  image.id = details->config.digest().text();
  const auto& view = details->config.view();
  if (view.created) image.created = view.created->seconds;
  image.labels = view.config.labels;
  image.size = details->size;
  return image;
}

Result<int> run(Session& session, const Arguments& arguments) {
  ImageFilter filter;
  for (const auto& text : arguments.values("filter")) TRY(filter.add(text));
  if (!arguments.positional().empty()) TRY(filter.add("reference=" + arguments.positional()[0]));
  auto store = TRY(session.open_store());
  std::vector<ListedImage> images;
  for (const auto& name : TRY(store.list_names(session.scope))) images.push_back(listed(session, store, name));
  images = TRY(filter.apply(std::move(images)));
  const Truncate truncate = arguments.flag("no-trunc") ? Truncate::kNo : Truncate::kYes;
  std::vector<Value> rows;
  const std::int64_t at = now().seconds;
  for (const auto& image : images) rows.push_back(row_of(image, at, truncate));
  auto format = arguments.value("format");
  if (arguments.flag("quiet") && !format) format = "{{.ID}}";
  TRY(session.out.write(TRY(render_rows(image_table(arguments.flag("digests")), format, rows))));
  return 0;
}

}  // namespace

const Command& images_command() {
  static const Command command = {
      .name = "images",
      .summary = "List the images in the store",
      .arguments = "[REPOSITORY[:TAG]]",
      .examples = {{"slipway images", "all of them, newest first"},
                   {"slipway images --digests 'team/*'", "with digests, of some repositories"},
                   {"slipway images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", "for a script"}},
      .options = {{.name = "all", .letter = 'a', .help = "accepted for docker's sake; nothing is hidden"},
                  {.name = "digests", .help = "show digests"},
                  {.name = "filter",
                   .letter = 'f',
                   .takes = Takes::kValues,
                   .value = "KEY=VALUE",
                   .help = "reference=PATTERN, dangling=BOOL, label=KEY[=VALUE], before=IMAGE or since=IMAGE"},
                  {.name = "format",
                   .takes = Takes::kValue,
                   .value = "FORMAT",
                   .help = "table, 'table TEMPLATE', json (an object per line) or a Go template"},
                  {.name = "no-trunc", .help = "show full ids"},
                  {.name = "quiet", .letter = 'q', .help = "show only ids"}},
      .most = 1,
      .completes = Completes::kImage,
      .run = run};
  return command;
}

}  // namespace slipway::cli
