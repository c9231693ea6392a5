-- The scores and the dead letters of each day.
--
-- day: the date of the scores and of the failures, in UTC, or NULL if it is not known
-- scored: the number of paragraphs that were scored on this day and not again later
-- unlabelled: the number of scored paragraphs that have no label, of multi-label models
-- dead_letters: the number of paragraphs that failed on this day
-- coverage: scored divided by (scored + dead_letters)
-- truncated: the number of scored paragraphs whose end was ignored
-- flagged: the number of scored paragraphs whose score is not reliable
-- tokens: the number of tokens of the scored paragraphs
-- mean_tokens: tokens divided by scored
-- mean_confidence: the mean of the highest probabilities
SELECT
  day,
  CAST(SUM(scored) AS BIGINT) AS scored,
  CAST(SUM(unlabelled) AS BIGINT) AS unlabelled,
  CAST(SUM(failed) AS BIGINT) AS dead_letters,
  CAST(SUM(scored) AS DOUBLE) / SUM(scored + failed) AS coverage,
  CAST(SUM(truncated) AS BIGINT) AS truncated,
  CAST(SUM(flagged) AS BIGINT) AS flagged,
  CAST(SUM(tokens) AS BIGINT) AS tokens,
  CAST(SUM(tokens) AS DOUBLE) / NULLIF(SUM(scored), 0) AS mean_tokens,
  SUM(confidence) / NULLIF(SUM(scored), 0) AS mean_confidence
FROM (
  SELECT
    day,
    1 AS scored,
    CASE WHEN label_count = 0 THEN 1 ELSE 0 END AS unlabelled,
    0 AS failed,
    CASE WHEN truncated THEN 1 ELSE 0 END AS truncated,
    CASE WHEN flagged THEN 1 ELSE 0 END AS flagged,
    CAST(tokens AS BIGINT) AS tokens,
    confidence
  FROM paragraphs
  UNION ALL
  SELECT
    DAY_IN_UTC(failed_at) AS day,
    0 AS scored,
    0 AS unlabelled,
    1 AS failed,
    0 AS truncated,
    0 AS flagged,
    0 AS tokens,
    CAST(0 AS DOUBLE) AS confidence
  FROM dead_letters
) AS events
GROUP BY day
