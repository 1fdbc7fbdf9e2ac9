"""Whether lower values of a metric are better, by its name or a team's choice. The only home of this rule."""

import re

from django.db import models

from runs.models.project import Project

_ERRORS = """
    loss losses error errors err errs mistake mistakes misclassification misclassified incorrect wrong invalid false
    mse rmse mae msle rmsle mape smape wape wmape mase nmse nrmse nmae rrmse sse sae rss medae mdae rae rse
    logloss mlogloss logcosh merror huber hinge pinball crps crossentropy xent entropy ce bce nll nloglik
    perplexity ppl bpb bpc bpd bits nats surprisal brier ece mce deviance aic bic residual residuals bias
    wer cer ter ser mer der eer fpr fnr fdr frr hter fid kid lpips mpjpe ade fde epe silog absrel sqrel mcd assd hd95
    divergence kl kld jsd mmd wasserstein emd chamfer hausdorff distance dissimilarity levenshtein distortion
    discrepancy disparity gap regret risk penalty inertia davies l1 l2
"""
_COSTS = """
    cost costs price latency latencies lag delay wait time duration runtime seconds ms ttft tpot itl rtf overhead
    memory vram energy joules kwh wh emissions carbon co2 waste wasted
    fail fails failed failure failures crash crashes timeout timeouts collision collisions miss misses missed
    violation violations toxicity hallucination hallucinations
"""
_GOODS = """
    accuracy acc precision recall sensitivity specificity f1 auc auroc aucpr auprc roc map ap iou dice ndcg mrr hits
    bleu rouge meteor psnr ssim r2 reward return win wins success likelihood confidence similarity correlation
    throughput speedup power coverage quality reduction reduced improvement gain gains saving savings saved
    avoided free detection detected correction corrected correct robustness tolerance efficiency utilization
    utilisation uptime
"""
#: Words that mean lower is better, and words that mean higher is better; the last one in a name decides
#: (`accuracy_loss`, `cer_accuracy`, `error_reduction`).
LOWER, HIGHER = frozenset((_ERRORS + _COSTS).split()), frozenset(_GOODS.split())
#: What follows is a denominator or a threshold and is ignored: `tokens_per_joule`, `recall@5`, `fpr_at_95_recall`.
ASIDE = frozenset({"per", "at"})
#: What follows only counts if nothing before it decides: `time_to_accuracy`, but `number_of_errors`.
LINKS = frozenset({"to", "of", "for", "on", "under", "with", "without", "vs", "in", "by", "over"})
#: Scikit-learn's scorers are errors with a negative sign: `neg_mean_squared_error`.
SCORED = re.compile(r"neg (mean|root|median|max|log loss|brier|mse|mae|rmse|mape)\b")
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SPLIT = re.compile(r"train(?:ing)?|val(?:id(?:ation)?)?|eval|test|dev")


def lower_by_name(name: str) -> bool:
    """Return whether a metric's name means that lower is better: `val_loss`, `top5-error`, `eval/answerCER`.

    Only whole words count (`f1_cancer` is not CER, `power` is not WER), and the last known one decides. By default,
    higher is better.
    """
    words = _words(name)
    if words[-1:] == ["per"]:  # the phoneme error rate
        return True
    if SCORED.match(" ".join(words)):
        return False
    words = words[: _first(words, ASIDE)]
    return (_last_said(words[: _first(words, LINKS)]) or _last_said(words)) == "lower"


def _first(words: list[str], among: frozenset[str]) -> int:
    """Return the position of the first of these words that has words on both sides, or else the end."""
    return next((n for n, word in enumerate(words) if word in among and 0 < n < len(words) - 1), len(words))


def _last_said(words: list[str]) -> str:
    """Return `lower` or `higher`, by the last word that decides; empty if none does."""
    for n in reversed(range(len(words))):
        if words[n] == "likelihood":
            return "higher" if {"neg", "negative"}.isdisjoint(words[:n]) else "lower"
        if said := _said(words[n]):
            return said
    return ""


def _words(name: str) -> list[str]:
    """Split `val/answerCER@5` into val, answer, cer, at, 5: words keep the digits after them."""
    return re.findall(r"[^\W\d_]+\d*|\d+", _HUMPS.sub(" ", name).replace("@", " at ").lower())


def _said(word: str) -> str:
    """Return `lower`, `higher` or nothing for a word: as it is, without its number, or without a split (`valloss`)."""
    for each in (word, word.rstrip("0123456789"), _SPLIT.sub("", word, count=1)):
        if each in LOWER:
            return "lower"
        if each in HIGHER:
            return "higher"
    return ""


class MetricDirection(models.Model):
    """A team's choice for a metric of a project, whatever its name means. It holds on every page and in every file."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.CharField(max_length=200)
    lower = models.BooleanField(help_text="Whether less is better.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="metric_direction_once")]

    def __str__(self):
        return self.name
