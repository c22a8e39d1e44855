#include "cli/registry_repositories.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/failure.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "oci/reference.hpp"
#include "store/repositories.hpp"

namespace slipway::cli {
namespace {

using store::Repositories;
using store::RepositoryEntry;
using store::RepositorySummary;

/// As it is shown and named: a mirror's with the upstream in front.
std::string shown(const RepositorySummary& repository) {
  return repository.scope.empty() ? repository.name : repository.scope + "/" + repository.name;
}

const char* kind_of(const RepositorySummary& repository) { return repository.scope.empty() ? "pushed" : "mirrored"; }

Result<std::vector<RepositorySummary>> repositories_of(const store::Store& store, const Arguments& arguments) {
  auto all = TRY(Repositories::all(store));
  const bool pushed = arguments.flag("pushed");
  const bool mirrored = arguments.flag("mirrored");
  if (pushed != mirrored)
    std::erase_if(all, [&](const RepositorySummary& one) { return one.scope.empty() == mirrored; });
  std::ranges::stable_sort(all, {}, shown);
  return all;
}

/// Same slip as everywhere, or the name without the folders in front.
std::string meant(std::string_view name, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  std::string best = nearest(name, views);
  if (!best.empty()) return best;
  const auto ending =
      std::ranges::find_if(known, [&](const std::string& one) { return one.ends_with(fmt::format("/{}", name)); });
  return ending == known.end() ? "" : *ending;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& known) {
  const std::string best = meant(name, known);
  return best.empty() ? "" : fmt::format("; did you mean {}?", printable(best, 300));
}

/// "http://127.0.0.1:5000/app", "127.0.0.1:5000/app".
bool names_a_host(std::string_view name) {
  return name.contains("://") || name.substr(0, name.find('/')).contains(':');
}

/// By its shown name, or as an image of a mirrored registry is named: "debian" is docker.io/library/debian.
Result<RepositorySummary> find_repository(const std::vector<RepositorySummary>& all, const std::string& name) {
  const auto named = [&](const std::string& wanted) {
    return std::ranges::find_if(all, [&](const RepositorySummary& one) { return shown(one) == wanted; });
  };
  auto found = named(name);
  if (const auto image = oci::Reference::parse(name); found == all.end() && image)
    found = named(image->registry() + "/" + image->repository());
  if (found == all.end()) {
    std::vector<std::string> names;
    for (const auto& one : all) names.push_back(shown(one));
    return std::unexpected(
        Error(Code::kNotFound,
              fmt::format("the registry here has no repository {}{}", quoted(name, 300), did_you_mean(name, names)))
            .with_hint(names_a_host(name) ? "it is of the store here: leave the host and the scheme away"
                                          : "'slipway registry ls' lists what there is"));
  }
  if (std::ranges::count_if(all, [&](const RepositorySummary& one) { return shown(one) == shown(*found); }) > 1)
    return fail(Code::kFailedPrecondition, "{} was pushed here and is mirrored too: say --pushed or --mirrored",
                quoted(name, 300));
  return *found;
}

std::string age_of(std::int64_t time) {
  return time > 0 ? human_duration(std::max<std::int64_t>(now().seconds - time, 0)) + " ago" : "";
}

std::string moment(std::int64_t time) { return time > 0 ? rfc3339({time, 0}) : ""; }

TableShape repository_table() {
  return {{{"Age", "AGE"},
           {"Bytes", "BYTES"},
           {"CreatedAt", "CREATED AT"},
           {"Kind", "KIND"},
           {"Manifests", "MANIFESTS"},
           {"Repository", "REPOSITORY"},
           {"Size", "SIZE"},
           {"Tags", "TAGS"},
           {"UsedAt", "USED AT"}},
          "{{.Repository}}\t{{.Kind}}\t{{.Tags}}\t{{.Manifests}}\t{{.Size}}\t{{.Age}}"};
}

Value row_of(const RepositorySummary& one) {
  return Value::Object{{"Age", age_of(one.linked)},
                       {"Bytes", one.bytes},
                       {"CreatedAt", moment(one.linked)},
                       {"Kind", kind_of(one)},
                       {"Manifests", one.manifests},
                       {"Repository", shown(one)},
                       {"Size", human_size(one.bytes)},
                       {"Tags", one.tags},
                       {"UsedAt", one.scope.empty() ? "" : moment(one.used)}};
}

TableShape entry_table() {
  return {{{"Age", "AGE"},
           {"Bytes", "BYTES"},
           {"CreatedAt", "CREATED AT"},
           {"Digest", "DIGEST"},
           {"Kind", "KIND"},
           {"MediaType", "MEDIA TYPE"},
           {"Repository", "REPOSITORY"},
           {"Size", "SIZE"},
           {"Tag", "TAG"},
           {"Type", "TYPE"},
           {"UsedAt", "USED AT"}},
          "{{.Tag}}\t{{.Digest}}\t{{.Type}}\t{{.Kind}}\t{{.Size}}\t{{.Age}}"};
}

/// A line for each tag; of a manifest without one, one line.
void add_rows(std::vector<Value>& rows, const RepositorySummary& repository, const RepositoryEntry& entry) {
  const bool index = oci::media_type::is_index(entry.manifest.media_type);
  std::vector<std::string> tags = entry.tags;
  if (tags.empty()) tags.emplace_back("<none>");
  for (const auto& tag : tags)
    rows.emplace_back(Value::Object{{"Age", age_of(entry.linked)},
                                    {"Bytes", entry.bytes},
                                    {"CreatedAt", moment(entry.linked)},
                                    {"Digest", entry.manifest.digest.text()},
                                    {"Kind", kind_of(repository)},
                                    {"MediaType", entry.manifest.media_type},
                                    {"Repository", shown(repository)},
                                    {"Size", human_size(entry.bytes)},
                                    {"Tag", tag},
                                    {"Type", index          ? "index"
                                             : entry.listed ? "entry"
                                                            : "image"},
                                    {"UsedAt", repository.scope.empty() ? "" : moment(entry.used)}});
}

/// "text" is the table, as without it.
std::optional<std::string> format_of(const Arguments& arguments) {
  auto format = arguments.value("format");
  if (format == "text") format.reset();
  return format;
}

std::string name_with(const std::string& repository, const RepositoryName& name) {
  if (!name.tag.empty()) return repository + ":" + name.tag;
  return name.digest.empty() ? repository : repository + "@" + name.digest;
}

/// A tag that is not there, with the nearest one that is.
Error no_such_tag(const Repositories& repositories, const RepositorySummary& repository, const std::string& tag) {
  constexpr std::int64_t kLookedAt = 1000;
  const auto tags = repositories.tags(repository.name, "", kLookedAt).value_or(std::vector<std::string>());
  return Error(Code::kNotFound, fmt::format("{} has no tag {}{}", printable(shown(repository), 300), quoted(tag, 150),
                                            did_you_mean(tag, tags)))
      .with_hint(fmt::format("'slipway registry ls {}' lists what there is", printable(shown(repository), 300)));
}

Result<store::Removed> remove(Repositories& repositories, const RepositorySummary& repository,
                              const RepositoryName& name) {
  if (!name.tag.empty()) {
    auto removed = repositories.drop_tag(repository.name, name.tag);
    if (!removed && removed.error().code() == Code::kNotFound)
      return std::unexpected(no_such_tag(repositories, repository, name.tag));
    return removed;
  }
  if (name.digest.empty()) return repositories.drop_repository(repository.name);
  const auto digest = oci::Digest::parse(name.digest);
  if (!digest) return fail(Code::kUsage, "{} is no digest", quoted(name.digest, 150));
  return repositories.drop_manifest(repository.name, *digest);
}

/// Lines for standard output; what gc frees is added to `freed`.
Result<std::string> remove_one(store::Store& store, const Arguments& arguments, const std::string& text,
                               std::int64_t& freed) {
  // "app:$TAG" of a script in which TAG is empty must not be all of app.
  if (text.ends_with(':') || text.ends_with('@'))
    return fail(Code::kUsage, "{} names no tag and no digest; a repository as a whole is named without '{}'",
                quoted(text, 300), text.back());
  const RepositoryName name = split_repository_name(text);
  const auto all = TRY(repositories_of(store, arguments));
  const RepositorySummary repository = TRY(find_repository(all, name.repository));
  Repositories repositories(store, repository.scope);
  const store::Removed removed = TRY(context(remove(repositories, repository, name), "while removing {}",
                                             printable(name_with(shown(repository), name))));
  freed += removed.freed_bytes;
  std::string out;
  for (const auto& tag : removed.tags)
    out += fmt::format("Untagged: {}:{}\n", printable(shown(repository)), printable(tag));
  for (const auto& digest : removed.manifests)
    out += fmt::format("Deleted: {}@{}\n", printable(shown(repository)), digest.text());
  if (name.tag.empty() && name.digest.empty()) out += fmt::format("Deleted: {}\n", printable(shown(repository)));
  return out;
}

}  // namespace

RepositoryName split_repository_name(std::string_view text) {
  RepositoryName name;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    name.digest = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos && text.find('/', colon) == std::string_view::npos) {
    if (name.digest.empty()) name.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  name.repository = text;
  return name;
}

Result<int> list_repositories(Session& session, const Arguments& arguments) {
  (void)session.tell_of_databases_set_aside();  // what is not listed may have been here
  auto store = TRY(session.open_store());
  const auto all = TRY(repositories_of(store, arguments));
  std::vector<Value> rows;
  if (arguments.positional().size() == 1) {
    for (const auto& one : all) rows.push_back(row_of(one));
    TRY(session.out.write(TRY(render_rows(repository_table(), format_of(arguments), rows))));
    return 0;
  }
  const RepositorySummary repository = TRY(find_repository(all, arguments.positional()[1]));
  const Repositories repositories(store, repository.scope);
  const auto entries = TRY(repositories.entries(repository.name));
  for (const auto& entry : entries) add_rows(rows, repository, entry);
  TRY(session.out.write(TRY(render_rows(entry_table(), format_of(arguments), rows))));
  return 0;
}

Result<int> remove_from_repositories(Session& session, const Arguments& arguments) {
  auto store = TRY(session.open_store());
  int code = 0;
  std::int64_t freed = 0;
  std::string done;
  for (std::size_t i = 1; i < arguments.positional().size(); ++i) {
    auto removed = remove_one(store, arguments, arguments.positional()[i], freed);
    if (removed) {
      done += *removed;
      continue;
    }
    session.say(failure_text(removed.error(), session.debug));  // the others are still removed, as rmi does
    code = kExitFailed;
  }
  if (done.contains("@sha") || done.contains("Untagged: "))
    done += freed > 0 ? fmt::format("'slipway gc' frees {}\n", human_size(freed))
                      : "'slipway gc' frees nothing of it: other tags, repositories or images need it\n";
  TRY(session.out.write(done));
  return code;
}

}  // namespace slipway::cli
