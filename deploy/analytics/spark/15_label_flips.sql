-- The labels of the older and the newer scores: a confusion matrix with a row for each pair.
CREATE OR REPLACE TEMPORARY VIEW stories_label_flips AS
SELECT
  label_before,
  label_after,
  COUNT(*) AS paragraphs,
  CAST(COUNT(*) AS DOUBLE) / SUM(COUNT(*)) OVER (PARTITION BY label_before) AS share_of_before,
  label_before <> label_after AS flipped
FROM stories_changed_paragraphs AS changed_paragraphs
GROUP BY
  label_before,
  label_after
