#include <algorithm>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/failure.hpp"
#include "cli/registry_options.hpp"
#include "cli/value.hpp"
#include "cli/workplace.hpp"
#include "image/manifest_list.hpp"
#include "oci/json.hpp"
#include "registry/base64.hpp"

namespace slipway::cli {
namespace {

/// What each of the five takes.
struct Action {
  std::string_view name;
  std::string_view arguments;
  std::size_t least, most;  ///< arguments behind the action; most 0: no limit
  std::vector<std::string_view> options;
};

const std::vector<Action>& actions() {
  static const std::vector<Action> all = {
      {"create", "LIST IMAGE [IMAGE...]", 2, 0, {"amend", "insecure"}},
      {"annotate", "LIST IMAGE", 2, 2, {"os", "arch", "variant", "os-version", "os-features"}},
      {"inspect", "[LIST] IMAGE", 1, 2, {"insecure", "verbose"}},
      {"push", "LIST", 1, 1, {"insecure", "purge", "progress"}},
      {"rm", "LIST [LIST...]", 1, 0, {}}};
  return all;
}

Result<const Action*> action_of(const Arguments& arguments) {
  const std::string& name = arguments.positional()[0];
  const auto& all = actions();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Action& action) { return action.name == name; });
  if (found == all.end()) {
    return std::unexpected(Error(Code::kUsage, fmt::format("there is no 'slipway manifest {}'", printable(name, 64)))
                               .with_hint("it is create, annotate, inspect, push or rm"));
  }
  for (const auto option :
       {"amend", "insecure", "os", "arch", "variant", "os-version", "os-features", "verbose", "purge", "progress"}) {
    const bool taken = std::find(found->options.begin(), found->options.end(), option) != found->options.end();
    if (arguments.has(option) && !taken)
      return fail(Code::kUsage, "'slipway manifest {}' has no option --{}", found->name, option);
  }
  const std::size_t count = arguments.positional().size() - 1;
  if (count < found->least || (found->most != 0 && count > found->most))
    return fail(Code::kUsage, "'slipway manifest {0}' takes other arguments: slipway manifest {0} {1}", found->name,
                found->arguments);
  return &*found;
}

Result<std::vector<oci::Reference>> references_of(const Arguments& arguments) {
  std::vector<oci::Reference> all;
  for (std::size_t i = 1; i < arguments.positional().size(); ++i)
    all.push_back(TRY(oci::Reference::parse(arguments.positional()[i])));
  return all;
}

/// The depth is bounded by Json::parse.
Value value_of(const oci::Json& json) {
  using Kind = oci::Json::Kind;
  switch (json.kind()) {
    case Kind::kNull:
      return {};
    case Kind::kBool:
      return json.as_bool().value_or(false);
    case Kind::kNumber:
      return json.as_int64().value_or(0);
    case Kind::kString:
      return std::string(json.as_string().value_or(""));
    case Kind::kArray: {
      Value::Array items;
      for (const oci::Json item : json.children()) items.push_back(value_of(item));
      return items;
    }
    case Kind::kObject: {
      Value::Object members;
      for (const oci::Json member : json.children()) members.emplace_back(std::string(member.key()), value_of(member));
      return members;
    }
  }
  return {};
}

Result<Value> parse_document(const std::string& bytes) { return value_of(TRY(oci::Json::parse(bytes))); }

/// docker's -v form of one image.
Result<Value> verbose(const image::ListMember& member, const std::string& bytes) {
  Value::Object descriptor = {{"mediaType", member.descriptor.media_type},
                              {"digest", member.descriptor.digest.text()},
                              {"size", member.descriptor.size}};
  if (const auto& platform = member.descriptor.platform) {
    Value::Object object = {{"architecture", platform->architecture}, {"os", platform->os}};
    if (!platform->os_version.empty()) object.emplace_back("os.version", platform->os_version);
    if (!platform->os_features.empty()) object.emplace_back("os.features", Value::of(platform->os_features));
    if (!platform->variant.empty()) object.emplace_back("variant", platform->variant);
    descriptor.emplace_back("platform", std::move(object));
  }
  const bool oci_form = member.descriptor.media_type == oci::media_type::kOciManifest;
  return Value::Object{{"Ref", member.reference.canonical()},
                       {"Descriptor", std::move(descriptor)},
                       {"Raw", registry::base64_encode(bytes)},
                       {oci_form ? "OCIManifest" : "SchemaV2Manifest", TRY(parse_document(bytes))}};
}

class Inspection {
 public:
  Inspection(Session& session, Workplace& place, registry::Trust trust, bool verbose)
      : session_(session), place_(place), images_(place.images()), trust_(trust), verbose_(verbose) {}

  Result<Value> run(const std::vector<oci::Reference>& names) {
    const image::ManifestLists lists(images_, trust_);
    if (const auto members = TRY(lists.find(names[0]))) {
      if (names.size() == 1) return verbose_ ? all_of(*members) : parse_document(lists.index_of(*members).raw());
      return one_of(*members, names);
    }
    if (names.size() == 2) return fail(Code::kNotFound, "there is no manifest list {} here", names[0].familiar());
    return remote(names[0]);
  }

 private:
  Result<std::string> bytes_of(const image::ListMember& member) {
    if (place_.store.acquire_blob(place_.lease, member.descriptor.digest).value_or(std::nullopt))
      return place_.store.read_blob(member.descriptor.digest, oci::kManifestLimit);
    return TRY(place_.client.repository(member.reference, trust_).manifest(member.reference, session_.cancel)).bytes;
  }

  Result<Value> all_of(const std::vector<image::ListMember>& members) {
    Value::Array all;
    for (const auto& member : members) all.push_back(TRY(verbose(member, TRY(bytes_of(member)))));
    return Value(std::move(all));
  }

  Result<Value> one_of(const std::vector<image::ListMember>& members, const std::vector<oci::Reference>& names) {
    for (const auto& member : members) {
      const bool same =
          names[1].digest() ? member.descriptor.digest == *names[1].digest() : member.reference.tag() == names[1].tag();
      if (!same || member.reference.familiar_name() != names[1].familiar_name()) continue;
      const std::string bytes = TRY(bytes_of(member));
      return verbose_ ? verbose(member, bytes) : parse_document(bytes);
    }
    return fail(Code::kNotFound, "{} is not in the manifest list {}", names[1].familiar(), names[0].familiar());
  }

  Result<Value> remote(const oci::Reference& name) {
    const auto repository = place_.client.repository(name, trust_);
    const auto document = TRY(repository.manifest(name, session_.cancel));
    if (!verbose_) return parse_document(document.bytes);
    if (!oci::media_type::is_index(document.media_type)) {
      const auto manifest = TRY(oci::Manifest::parse(document.bytes, document.media_type));
      const image::ListMember member{name.with_digest(document.digest), manifest.descriptor()};
      return verbose(member, document.bytes);
    }
    std::vector<image::ListMember> members;
    const auto index = TRY(oci::Index::parse(document.bytes, document.media_type));
    for (const auto& entry : index.manifests()) members.push_back({name.with_digest(entry.digest), entry});
    return all_of(members);
  }

  Session& session_;
  Workplace& place_;
  image::Images images_;
  registry::Trust trust_;
  bool verbose_;
};

Status push_list(Session& session, const Arguments& arguments, const registry::Client& client,
                 const image::ManifestLists& lists, const oci::Reference& list) {
  auto reader = TRY(session.progress(arguments, "Pushing"));
  show_waits(client, *reader);
  auto pushed = lists.push(list, *reader, session.cancel);
  reader->finish();
  const auto descriptor = TRY(context(std::move(pushed), "while pushing {}", list.familiar()));
  if (arguments.flag("purge")) (void)TRY(lists.remove(list));
  return session.out.write(descriptor.digest.text() + "\n");
}

Result<int> remove_lists(Session& session, const image::ManifestLists& lists,
                         const std::vector<oci::Reference>& names) {
  int code = 0;
  for (const auto& name : names) {
    if (TRY(lists.remove(name))) continue;
    session.say(failure_text(Error(Code::kNotFound, fmt::format("there is no manifest list {} here", name.familiar())),
                             session.debug));
    code = kExitFailed;
  }
  return code;
}

image::PlatformEdit edit_of(const Arguments& arguments) {
  image::PlatformEdit edit{.os = arguments.value("os"),
                           .architecture = arguments.value("arch"),
                           .variant = arguments.value("variant"),
                           .os_version = arguments.value("os-version")};
  for (const auto& list : arguments.values("os-features"))
    for (const auto feature : split(list, ',')) edit.os_features.emplace_back(feature);
  return edit;
}

Result<int> run(Session& session, const Arguments& arguments) {
  const Action& action = *TRY(action_of(arguments));
  const auto names = TRY(references_of(arguments));
  auto place = TRY(open_workplace(session, arguments, "manifest"));
  const auto images = place.images();
  const auto trust = arguments.flag("insecure") ? registry::Trust::kAnybody : registry::Trust::kVerified;
  const image::ManifestLists lists(images, trust);
  if (action.name == "create") {
    const auto amend = arguments.flag("amend") ? image::Amend::kYes : image::Amend::kNo;
    TRY(lists.create(names[0], {names.begin() + 1, names.end()}, amend, session.cancel));
    TRY(session.out.write(fmt::format("Created manifest list {}\n", names[0].canonical())));
  } else if (action.name == "annotate") {
    TRY(lists.annotate(names[0], names[1], edit_of(arguments), session.cancel));
  } else if (action.name == "inspect") {
    const auto value = TRY(Inspection(session, place, trust, arguments.flag("verbose")).run(names));
    TRY(session.out.write(value.json_indented(4) + "\n"));
  } else if (action.name == "push") {
    TRY(push_list(session, arguments, place.client, lists, names[0]));
  } else {
    return remove_lists(session, lists, names);
  }
  return 0;
}

}  // namespace

const Command& manifest_command() {
  static const Command command = {
      .name = "manifest",
      .summary = "Make and push a list of images for several platforms",
      .arguments = "create|annotate|inspect|push|rm NAME [NAME...]",
      .examples = {{"slipway manifest create r.example/app:1 r.example/app:1-amd64 r.example/app:1-arm64",
                    "a list, here"},
                   {"slipway manifest annotate --variant v8 r.example/app:1 r.example/app:1-arm64", "change an entry"},
                   {"slipway manifest push -p r.example/app:1", "push it, and forget it here"},
                   {"slipway manifest inspect r.example/app:1", "what the registry has"}},
      .options = {{.name = "amend", .letter = 'a', .help = "create: add to a list that is there"},
                  {.name = "arch", .takes = Takes::kValue, .value = "NAME", .help = "annotate: the architecture"},
                  {.name = "insecure",
                   .help = "create, inspect, push: any certificate, and plain HTTP where there is no TLS"},
                  kInsecureRegistryOption,
                  {.name = "os", .takes = Takes::kValue, .value = "NAME", .help = "annotate: the operating system"},
                  {.name = "os-features",
                   .takes = Takes::kValues,
                   .value = "NAME[,NAME...]",
                   .help = "annotate: features that the system must have"},
                  {.name = "os-version", .takes = Takes::kValue, .value = "TEXT", .help = "annotate: its version"},
                  kProgressOption,
                  {.name = "purge", .letter = 'p', .help = "push: remove the list here afterwards"},
                  {.name = "variant",
                   .takes = Takes::kValue,
                   .value = "NAME",
                   .help = "annotate: the variant of the architecture"},
                  {.name = "verbose", .letter = 'v', .help = "inspect: with descriptors and layers"}},
      .least = 1,
      .most = -1,
      .completes = Completes::kWords,
      .words = "create annotate inspect push rm",
      .run = run,
      .notes =
          "A list is kept in the store until it is pushed or removed; its images are in the same registry already.\n"
          "Those of another repository are mounted into the list's, or copied."};
  return command;
}

}  // namespace slipway::cli
