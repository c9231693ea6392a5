-- One row: how much the newer scores differ from the older scores.
CREATE OR REPLACE TEMPORARY VIEW stories_changes AS
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
  FROM stories_changed_paragraphs AS changed_paragraphs
) AS changed
CROSS JOIN (
  SELECT
    COUNT(*) AS paragraphs_before
  FROM undertone.emotions.stories_before AS scores_before
  WHERE
    deleted_at IS NULL
) AS older
CROSS JOIN (
  SELECT
    COUNT(*) AS paragraphs_after
  FROM undertone.emotions.stories AS scores
  WHERE
    deleted_at IS NULL
) AS newer
