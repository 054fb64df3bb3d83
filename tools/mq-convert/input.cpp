#include "tools/mq-convert/input.hpp"

#include "mq/fold.hpp"

namespace mq::tool {

Input open_input(const Options& options) {
  Input input{.checkpoint = open_checkpoint(options.in, options.open), .names = options.recipe.input};
  std::vector<BatchNormFold>& folds = input.names.folds;
  if (options.find_folds) {
    const std::vector<BatchNormFold> found =
        find_batch_norm_folds(*input.checkpoint, options.bn_eps.value_or(0), folds);
    folds.insert(folds.end(), found.begin(), found.end());
    if (folds.empty()) {
      throw Error({.code = ErrorCode::Usage,
                   .message = "--fold-bn auto: there is no batch normalization",
                   .file = options.in.string()});
    }
  }
  input.checkpoint = fold_batch_norms(std::move(input.checkpoint), folds);
  return input;
}

}  // namespace mq::tool
