#include "mq/quant_spec.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "src/codecs/codec.hpp"
#include "src/nearest.hpp"

namespace mq {
namespace {

constexpr std::string_view kFloat4 = "nvfp4";
constexpr std::string_view kActivationElements[] = {"int8", "fp8_e4m3", kFloat4};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t at = text.find(separator);
    words.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return words;
    text.remove_prefix(at + 1);
  }
}

std::optional<std::int64_t> parse_number(std::string_view digits, std::int64_t least) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && digits[0] != '-';
  if (!whole || number < least || number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return number;
}

// "tensor", "channel", "channel=AXIS", "gN" or "bRxC".
std::optional<Granularity> parse_granularity(std::string_view word) {
  if (word == "tensor") return PerTensor{};
  if (word == "channel") return PerChannel{};
  constexpr std::string_view kAxis = "channel=";
  if (word.starts_with(kAxis)) {
    const auto axis = parse_number(word.substr(kAxis.size()), 0);
    if (axis) return PerChannel{static_cast<int>(*axis)};
  } else if (word.starts_with('g')) {
    const auto size = parse_number(word.substr(1), 1);
    if (size) return PerGroup{*size};
  } else if (word.starts_with('b')) {
    const std::vector<std::string_view> sides = split(word.substr(1), 'x');
    if (sides.size() != 2) return std::nullopt;
    const auto rows = parse_number(sides[0], 1), cols = parse_number(sides[1], 1);
    if (rows && cols) return PerBlock{*rows, *cols};
  }
  return std::nullopt;
}

// "oN".
std::optional<int> parse_outliers(std::string_view word) {
  if (!word.starts_with('o')) return std::nullopt;
  const auto count = parse_number(word.substr(1), 1);
  return count ? std::optional(static_cast<int>(*count)) : std::nullopt;
}

// One word of a list and what it stands for.
template <class T>
struct Word {
  std::string_view text;
  T value;
};
constexpr Word<Mapping> kMappings[] = {{"sym", Mapping::Symmetric}, {"asym", Mapping::Asymmetric}};
constexpr Word<RangeKind> kRanges[] = {
    {"narrow", RangeKind::Narrow}, {"full", RangeKind::Full}, {"signed", RangeKind::Signed}};

template <class T, std::size_t N>
std::optional<T> look_up(const Word<T> (&words)[N], std::string_view text) {
  for (const Word<T>& word : words) {
    if (word.text == text) return word.value;
  }
  return std::nullopt;
}

template <class T, std::size_t N>
std::string_view text_of(const Word<T> (&words)[N], T value) {
  return std::find_if(words, words + N, [&](const Word<T>& word) { return word.value == value; })->text;
}

// Reads one text; every error quotes it.
class SpecParser {
 public:
  explicit SpecParser(std::string_view text) : text_(text) {}

  QuantSpec parse() {
    const std::size_t plus = text_.find('+');
    const std::vector<std::string_view> words = split(text_.substr(0, plus), ':');
    start(words[0]);
    for (std::size_t i = 1; i < words.size(); ++i) option(words[i]);
    if (mapping_given_ && spec_.mapping == Mapping::Asymmetric && range_given_) {
      fail("narrow, full and signed are ranges of symmetric mappings");
    }
    if (spec_.mapping == Mapping::Asymmetric) spec_.range = RangeKind::Narrow;
    if (plus != std::string_view::npos) {
      if (!options_.activation) fail(std::string(words[0]) + " takes no activation");
      spec_.activation = activation(text_.substr(plus + 1));
      const bool both = (spec_.codec == kFloat4) == (spec_.activation->element == kFloat4);
      if (!both) fail("activations of nvfp4 belong to weights of nvfp4, and no others", "use nvfp4+nvfp4");
    }
    codec_of(spec_).check(spec_);
    return spec_;
  }

 private:
  [[noreturn]] void fail(std::string message, std::string hint = {}) const {
    throw Error({.code = ErrorCode::Usage,
                 .message = "'" + printable(text_) + "': " + std::move(message),
                 .hint = std::move(hint)});
  }

  void start(std::string_view name) {
    std::vector<std::string_view> names;
    for (const SchemeInfo& scheme : schemes()) {
      names.push_back(scheme.name);
      if (scheme.name != name) continue;
      spec_ = scheme.spec;
      options_ = codec_of(spec_).options;
      return;
    }
    const std::string hint = did_you_mean(name, names);
    throw Error({.code = ErrorCode::Usage,
                 .message = "there is no scheme '" + printable(name) + "'",
                 .hint = hint.empty() ? "see mq-convert schemes" : hint});
  }

  void option(std::string_view word) {
    if (const auto granularity = parse_granularity(word)) {
      once(granularity_given_, options_.granularity, "granularity");
      spec_.granularity = *granularity;
    } else if (const auto mapping = look_up(kMappings, word)) {
      once(mapping_given_, options_.mapping, "mapping");
      spec_.mapping = *mapping;
    } else if (const auto range = look_up(kRanges, word)) {
      once(range_given_, options_.mapping || (options_.either_sign && *range == RangeKind::Signed), "range");
      spec_.range = *range;
    } else if (const auto count = parse_outliers(word)) {
      once(outliers_given_, options_.outliers, "outlier columns");
      spec_.outliers = *count;
    } else if (word == "dq") {
      once(spec_.double_quant, options_.double_quant, "double quantization");
    } else {
      constexpr std::string_view kWords[] = {"tensor", "channel", "g128",   "b128x128", "sym", "asym",
                                             "narrow", "full",    "signed", "dq",       "o16"};
      unknown("option", word, kWords);
    }
  }

  [[noreturn]] void unknown(const char* what, std::string_view word, std::span<const std::string_view> words) const {
    fail(std::string("unknown ") + what + " '" + printable(word) + "'", did_you_mean(word, words));
  }

  void once(bool& given, bool exists, const char* what) const {
    if (!exists) fail("this encoding takes no " + std::string(what));
    if (given) fail(std::string(what) + " is given twice");
    given = true;
  }

  // ELEMENT[:token|:tensor][:sym|:asym][:dyn|:static]
  ActivationSpec activation(std::string_view text) const {
    const std::vector<std::string_view> words = split(text, ':');
    if (std::ranges::find(kActivationElements, words[0]) == std::end(kActivationElements)) {
      unknown("activation", words[0], kActivationElements);
    }
    ActivationSpec spec{.element = std::string(words[0])};
    spec.dynamic = spec.per_token = spec.element != kFloat4;
    bool granularity = false, mapping = false, when = false;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (words[i] == "token" || words[i] == "tensor") {
        once(granularity, true, "granularity of the activation");
        spec.per_token = words[i] == "token";
      } else if (const auto value = look_up(kMappings, words[i])) {
        once(mapping, spec.element == "int8", "mapping of the activation");
        spec.mapping = *value;
      } else if (words[i] == "dyn" || words[i] == "static") {
        once(when, true, "dyn or static");
        spec.dynamic = words[i] == "dyn";
      } else {
        constexpr std::string_view kWords[] = {"token", "tensor", "sym", "asym", "dyn", "static"};
        unknown("option of the activation", words[i], kWords);
      }
    }
    if (spec.element == kFloat4 && spec.dynamic) {
      fail("activations of nvfp4 have a scale that is known beforehand", "use +nvfp4:static");
    }
    if (!spec.dynamic && granularity && spec.per_token) {
      fail("a static activation has one scale for all tokens", "use :tensor:static");
    }
    if (!spec.dynamic) spec.per_token = false;
    return spec;
  }

  std::string_view text_;
  QuantSpec spec_;
  CodecOptions options_;
  bool granularity_given_ = false, mapping_given_ = false, range_given_ = false, outliers_given_ = false;
};

std::string to_string(const ActivationSpec& spec) {
  std::string text = spec.element + (spec.per_token ? ":token" : ":tensor");
  if (spec.element == "int8") text.append(":").append(text_of(kMappings, spec.mapping));
  return text + (spec.dynamic ? ":dyn" : ":static");
}

struct GranularityText {
  std::string operator()(const PerTensor&) const { return "tensor"; }
  std::string operator()(const PerChannel& channel) const {
    return std::string("channel=").append(std::to_string(channel.axis));
  }
  std::string operator()(const PerGroup& group) const {
    return std::string("g").append(std::to_string(group.group_size));
  }
  std::string operator()(const PerBlock& block) const {
    return std::string("b").append(std::to_string(block.rows)).append("x").append(std::to_string(block.cols));
  }
};

}  // namespace

std::int32_t QuantSpec::qmin() const noexcept {
  return element == DType::UInt8 ? 0 : -(1 << (bits - 1));
}

std::int32_t QuantSpec::qmax() const noexcept {
  return element == DType::UInt8 ? (1 << bits) - 1 : (1 << (bits - 1)) - 1;
}

QuantSpec parse_spec(std::string_view text) {
  return SpecParser(text).parse();
}

std::string to_string(const Granularity& granularity) {
  return std::visit(GranularityText{}, granularity);
}

std::string to_string(const QuantSpec& spec) {
  const Codec& codec = codec_of(spec);
  std::string text;
  for (const SchemeInfo& scheme : codec.schemes()) {
    if (scheme.spec.element == spec.element && scheme.spec.bits == spec.bits) text = scheme.name;
  }
  if (text.empty()) {
    codec.check(spec);
    text = to_string(spec.element);
  }
  if (codec.options.granularity) text.append(":").append(to_string(spec.granularity));
  if (codec.options.mapping) {
    text.append(":").append(text_of(kMappings, spec.mapping));
    if (spec.mapping == Mapping::Symmetric) text.append(":").append(text_of(kRanges, spec.range));
  }
  if (codec.options.either_sign && spec.range == RangeKind::Signed) text.append(":signed");
  if (spec.double_quant) text += ":dq";
  if (codec.options.outliers) text.append(":o").append(std::to_string(spec.outliers));
  if (spec.activation) text.append("+").append(to_string(*spec.activation));
  return text;
}

double bits_per_weight(const QuantSpec& spec, std::span<const std::int64_t> shape) {
  const MatrixShape matrix = matrix_shape(shape);
  const CodecRequest request{.spec = spec, .layout = make_block_layout(shape, matrix, spec.granularity)};
  const auto weights = static_cast<double>(matrix.numel());
  const bool blocks = is_quantized_block(spec.element);
  double bits = blocks ? 0 : spec.bits * weights;
  for (const PartInfo& part : codec_of(spec).parts(request)) {
    if (part.name == "codes" && !blocks) continue;
    const auto stored = static_cast<double>(part.rows * part.row_bytes);
    // Zero points are codes too: packed in the end, like them.
    bits += stored * (part.name == "zero_point" ? spec.bits : 8);
  }
  return weights == 0 ? spec.bits : bits / weights;
}

std::span<const SchemeInfo> schemes() {
  static const std::vector<SchemeInfo> kAll = [] {
    std::vector<SchemeInfo> list;
    for (const Codec* codec : all_codecs()) {
      const std::span<const SchemeInfo> own = codec->schemes();
      list.insert(list.end(), own.begin(), own.end());
    }
    return list;
  }();
  return kAll;
}

}  // namespace mq
