-- One row: how much the newer scores differ from the older scores.
--
-- paragraphs_before: the number of paragraphs in the older scores
-- paragraphs_after: the number of paragraphs in the newer scores
-- compared: the number of paragraphs that both score with the same text
-- flipped: the number of compared paragraphs whose labels changed
-- flipped_share: flipped divided by compared, or NULL if nothing is comparable
-- mean_shift: the mean distance of the probabilities, each from 0 (equal) to 1
-- largest_shift: the largest distance of the probabilities
SELECT
  paragraphs_before,
  paragraphs_after,
  compared,
  flipped,
  CAST(flipped AS DOUBLE) / NULLIF(compared, 0) AS flipped_share,
  mean_shift,
  largest_shift
FROM (
  SELECT
    COUNT(*) AS compared,
    CAST(COALESCE(SUM(CASE WHEN flipped THEN 1 ELSE 0 END), 0) AS BIGINT) AS flipped,
    AVG(shift) AS mean_shift,
    MAX(shift) AS largest_shift
  FROM changed_paragraphs
) AS changed
CROSS JOIN (SELECT COUNT(*) AS paragraphs_before FROM scores_before WHERE deleted_at IS NULL) AS older
CROSS JOIN (SELECT COUNT(*) AS paragraphs_after FROM scores WHERE deleted_at IS NULL) AS newer
